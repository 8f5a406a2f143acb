// Figures: times, durations and costs.

import { el, line, present } from "./elements.js";

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Nanoseconds of an RFC 3339 time in UTC; undefined where it is none. */
function nanos(time) {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(time ?? "");
  const seconds = parts ? Date.parse(`${parts[1]}Z`) : NaN;
  return Number.isNaN(seconds) ? undefined : BigInt(seconds) * 1000000n + BigInt((parts[2] ?? "").padEnd(9, "0"));
}

export function when(time) {
  const at = nanos(time);
  if (at === undefined) return time && line(time);
  return el("time", { datetime: time, title: `${time} (UTC)` }, WHEN.format(new Date(Number(at / 1000000n))));
}

function span(ms) {
  const size = Math.abs(ms);
  if (size === 0) return "0 ms";
  if (size < 1) return `${Number((ms * 1000).toPrecision(3))} µs`;
  if (size < 1000) return `${Number(ms.toPrecision(3))} ms`;
  if (size < 60_000) return `${Number((ms / 1000).toPrecision(3))} s`;
  const seconds = Math.round(size / 1000);
  const parts = [[seconds / 86400, "d"], [(seconds / 3600) % 24, "h"], [(seconds / 60) % 60, "min"], [seconds % 60, "s"]]
    .map(([count, unit]) => [Math.floor(count), unit]);
  const first = parts.findIndex(([count]) => count > 0);
  return (ms < 0 ? "−" : "") + parts.slice(first, first + 2).map(([count, unit]) => `${count} ${unit}`).join(" ");
}

export function between(from, to) {
  const [start, end] = [nanos(from), nanos(to)];
  return start === undefined || end === undefined ? undefined : span(Number(end - start) / 1e6);
}

export const duration = (ms) => (present(ms) ? span(Number(ms)) : undefined);
export const cents = (cost) => (present(cost) ? `${cost} ¢` : undefined);
