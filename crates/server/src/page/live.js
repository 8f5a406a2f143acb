// The live stream of what is recorded.

import { parse } from "./json.js";

function live(word, text) {
  document.body.dataset.live = word;
  document.getElementById("live").textContent = text;
}

/** Tells `hear` the run and the kind of each entry, and nothing when some may have been missed. */
export function follow(hear) {
  let source;
  let retry;

  function listen(wait = 1000) {
    source = new EventSource("/api/v1/events");
    source.addEventListener("open", () => {
      wait = 1000;
      live("open", "live");
      hear(); // what was recorded while nobody listened
    });
    source.addEventListener("message", (event) => {
      const { run, kind } = parse(event.data);
      hear(run, kind);
    });
    source.addEventListener("error", () => {
      live("lost", "connection lost, trying again; what you see may be out of date");
      // The browser tries again by itself, unless the server answered with an error.
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(listen, wait, Math.min(wait * 2, 10_000));
    });
  }

  // A browser opens six connections to a server, for all its tabs: one that nobody looks at gives its own back.
  document.addEventListener("visibilitychange", () => {
    source?.close();
    clearTimeout(retry);
    if (document.hidden) live("lost", "paused");
    else listen();
  });

  if (!document.hidden) listen();
}
