// A browser that is told what to do by lines of JSON on stdin and answers each with a line of JSON on stdout.
//
// It looks and clicks; what should be there is decided by the tests in e2e/python. On the side it notes everything that a
// page must never do: open a dialog, break its Content-Security-Policy, throw, complain, or ask anyone else for anything.

import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [executablePath, profile] = process.argv.slice(2);
const WAIT_MS_MAX = 30_000;

const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  viewport: { width: 1280, height: 900 },
  timezoneId: "UTC",
  locale: "en-GB",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const page = context.pages()[0] ?? await context.newPage();
page.setDefaultTimeout(WAIT_MS_MAX);

const misdeeds = [];
let loads = 0;
let origin;
page.on("dialog", (dialog) => {
  misdeeds.push(`dialog: ${dialog.message()}`);
  dialog.dismiss().catch(() => {});
});
page.on("console", (message) => {
  if (["error", "warning"].includes(message.type())) misdeeds.push(`console ${message.type()}: ${message.text()} ${message.location().url}`);
});
page.on("pageerror", (error) => misdeeds.push(`thrown: ${error.message}`));
page.on("load", () => { loads += 1; });
page.on("request", (request) => {
  if (origin && new URL(request.url()).origin !== origin) misdeeds.push(`request to ${request.url()}`);
});
context.on("page", (other) => misdeeds.push(`another window: ${other.url()}`));
await context.exposeFunction("tracekeepMisdeed", (what) => misdeeds.push(what));
await context.addInitScript(() => {
  document.addEventListener("securitypolicyviolation", (event) =>
    globalThis.tracekeepMisdeed(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
});

const commands = {
  /** Opens an address as a user who types it. */
  async open({ url }) {
    origin = new URL(url).origin;
    await page.goto(url);
    return {};
  },
  /** Waits until an element is there and seen; `count` waits for so many. */
  async wait({ selector, count }) {
    if (count === undefined) await page.locator(selector).first().waitFor({ state: "visible" });
    else {
      await page.waitForFunction(([at, many]) => document.querySelectorAll(at).length === many, [selector, count]);
    }
    return {};
  },
  async click({ selector }) {
    await page.locator(selector).first().click();
    return {};
  },
  /** The data attributes and the text of every element that matches. */
  async read({ selector }) {
    const items = await page.locator(selector).evaluateAll((elements) => elements.map((element) =>
      ({ data: { ...element.dataset }, text: element.innerText, hidden: !element.checkVisibility() })));
    return { items };
  },
  /** How many elements match. */
  async count({ selector }) {
    return { count: await page.locator(selector).count() };
  },
  /** By how many pixels the page is wider than a window of so many. */
  async overflow({ width }) {
    const { height, ...before } = page.viewportSize();
    await page.setViewportSize({ width, height });
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    await page.setViewportSize({ height, ...before });
    return { beyond };
  },
  async shot({ path, whole }) {
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path, fullPage: whole });
    return {};
  },
  /** What the page did that it must not, and how often it was loaded. */
  async notes() {
    return { misdeeds, loads };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...given } = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command](given);
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await context.close();
