// Lists that are paged, and stay in place while they change.

import { get } from "./api.js";
import { el, lazy } from "./elements.js";
import { report } from "./problem.js";

const PAGE_LIMIT_MAX = 1000; // the API's
const FOLLOW_MAX = 2000; // rows up to which a list that is wholly loaded grows by itself
const PAUSE_MS = 200; // between two pages of one refresh

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Changes the page while what the reader looks at stays where it is. */
export function steadily(change) {
  const middle = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
  const anchor = scrollY > 0 ? middle?.closest("[data-row], section") : undefined;
  const top = anchor?.getBoundingClientRect().top;
  change();
  if (anchor?.isConnected) scrollBy(0, anchor.getBoundingClientRect().top - top);
}

/** To be called before an element is written anew; what it gives, afterwards: the focus goes to where it was, or near. */
export function keepFocus(row) {
  const focused = document.activeElement;
  if (!row.contains(focused)) return () => {};
  const at = [...row.querySelectorAll(focused.localName)].indexOf(focused);
  return () => {
    const next = row.querySelectorAll(focused.localName)[at] ?? row.querySelector("summary, a");
    next?.focus({ preventScroll: true });
  };
}

export class Listing {
  /**
   * The items are the `member` of an answer; `fill` writes one into its row in `box`. `grows`: new ones come last, and are
   * followed to the end.
   */
  constructor({ path, member = "items", params = {}, limit, key, tag, fill, box, signal, grows = true, changed = () => {} }) {
    Object.assign(this, { path, member, params, limit, key, tag, fill, box, signal, grows, changed });
    this.rows = new Map();
    this.cursor = undefined;
    this.turn = Promise.resolve(); // one request at a time, so that no older answer overwrites a newer one
    this.button = el("button", { type: "button", hidden: true, click: () => this.more().catch(report) }, "Load more");
  }

  inTurn(work) {
    const result = this.turn.then(work);
    this.turn = result.catch(() => {});
    return result;
  }

  more() {
    return this.inTurn(async () => {
      const page = await this.page(this.limit, this.cursor);
      for (const item of page[this.member]) this.put(item, null);
      this.ends(page.next_cursor);
    });
  }

  /** Reads again what is loaded, and `added` more where the reader would see others pushed out. */
  refresh(added = 0) {
    return this.inTurn(async () => {
      const loaded = this.rows.size;
      const follows = this.grows && !this.cursor && loaded < FOLLOW_MAX;
      const more = follows ? this.limit : Math.min(scrollY > 0 ? added : 0, this.limit);
      const wanted = Math.max(this.limit, loaded + more);
      const items = [];
      let cursor;
      do {
        if (cursor) await pause(PAUSE_MS); // whoever only watches must not load the server
        const page = await this.page(Math.min(PAGE_LIMIT_MAX, wanted - items.length), cursor);
        items.push(...page[this.member]);
        cursor = page.next_cursor;
      } while (cursor && items.length < wanted);
      steadily(() => this.replace(items, cursor));
    });
  }

  page(limit, cursor) {
    return get(this.path, { ...this.params, limit, cursor }, this.signal);
  }

  replace(items, cursor) {
    const wanted = new Set(items.map(this.key));
    for (const [key, row] of this.rows) {
      if (!wanted.has(key)) {
        row.element.remove();
        this.rows.delete(key);
      }
    }
    let next = this.box.firstElementChild;
    for (const item of items) {
      const element = this.put(item, next);
      if (element === next) next = next.nextElementSibling;
    }
    this.ends(cursor);
  }

  /** Writes an item's row, and moves it before `next` unless it is there: a move would lose the focus. */
  put(item, next) {
    const key = this.key(item);
    const text = JSON.stringify(item);
    let row = this.rows.get(key);
    if (!row) {
      row = { element: el(this.tag, { data: { row: key } }), text: undefined };
      this.rows.set(key, row);
    }
    if (row.text !== text) {
      const refocus = keepFocus(row.element);
      this.fill(row.element, item);
      refocus();
      row.text = text;
    }
    if (row.element !== next) this.box.insertBefore(row.element, next);
    return row.element;
  }

  ends(cursor) {
    this.cursor = cursor ?? undefined;
    this.button.hidden = !this.cursor;
    this.changed(this.rows.size);
  }
}

/** Fills a row that opens; one that was open stays open. */
export function fillOpening(row, summary, inside, open = false) {
  const before = row.querySelector(":scope > details");
  row.replaceChildren(lazy(el("summary", {}, summary), () => el("div", { class: "inside" }, inside()), before ? before.open : open));
}
