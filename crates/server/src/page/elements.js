// Elements, and recorded text inside them.
//
// Everything that was recorded is hostile: values, keys, names and ids. It reaches the page as text nodes and as
// `title`, `data-*` and field values only; it reaches a URL only as a value that was encoded (links.js, api.js).

export const BRIEF_MAX = 200; // characters of a summary
const MARKS_MAX = 2000; // unseen characters marked one by one in one text

export const present = (value) => value !== undefined && value !== null;

/** An element. Functions are listeners, `data` is the dataset, everything else an attribute; children become text. */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (!present(value) || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

export function nodes(children) {
  return children.flat(Infinity)
    .filter((child) => present(child) && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

// Controls, bidi, zero-width and other characters that show nothing or move what stands beside them. The variation
// selector that only makes an emoji colourful is left alone.
const UNSEEN = String.raw`(?!(?<=\p{Emoji})\ufe0f)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]`;
const UNSEEN_IN_TEXT = new RegExp(String.raw`(?:(?![\n\t])${UNSEEN})+`, "gu");
export const UNSEEN_IN_LINE = new RegExp(`(?:${UNSEEN})+`, "gu");

const ESCAPES = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);

function escaped(characters) {
  return Array.from(characters, (character) => {
    const code = character.codePointAt(0).toString(16);
    return ESCAPES.get(character) ?? (code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`);
  }).join("");
}

/** Recorded text with its unseen characters written out, isolated from the direction of what stands around it. */
export function recorded(text, unseen = UNSEEN_IN_TEXT) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(unseen)) {
    // A text made of such characters would cost a node each.
    if (parts.length > 2 * MARKS_MAX) return el("bdi", {}, parts, text.slice(from).replace(unseen, escaped));
    parts.push(text.slice(from, match.index), el("span", { class: "unseen" }, escaped(match[0])));
    from = match.index + match[0].length;
  }
  return el("bdi", {}, parts, text.slice(from));
}

function cut(text) {
  // The pattern takes a pair of surrogates whole.
  return text.length <= BRIEF_MAX ? text : `${text.slice(0, BRIEF_MAX).replace(/[\ud800-\udbff]$/, "")}…`;
}

export const line = (text) => recorded(cut(String(text)), UNSEEN_IN_LINE);
export const plain = (text) => cut(String(text)).replace(UNSEEN_IN_LINE, escaped);

/** A text in full: long ones behind their beginning. */
export function full(text) {
  if (text.length <= BRIEF_MAX) return recorded(text);
  return lazy(el("summary", {}, line(text)), () => el("pre", {}, recorded(text)));
}

/** A <details> whose inside is made when it is first opened. */
export function lazy(summary, inside, open = false) {
  const details = el("details", {}, summary);
  const fill = () => {
    if (details.open && details.childElementCount === 1) details.append(...nodes([inside()]));
  };
  details.addEventListener("toggle", fill);
  details.open = open;
  fill(); // the event comes too late for who measures or reads at once
  return details;
}
