// What was just done is told once: loaded again, or sent on, the page does not say it again.
(() => {
  "use strict";
  const url = new URL(location.href);
  if (!url.searchParams.has("done")) return;
  url.searchParams.delete("done");
  history.replaceState(history.state, "", url);
})();

// Keeps the overview fresh: fetches the page again and puts its live part in the place of the old one. Everything works
// without it. It stops where nobody is: a page that refreshed itself for ever would keep its session from ending.
(() => {
  "use strict";
  const EVERY = 10_000, PATIENCE = 10 * 60_000;
  const live = () => document.querySelector("[data-live]");
  if (!live()) return;
  let last = Date.now();
  for (const event of ["pointerdown", "pointermove", "keydown", "scroll"]) {
    addEventListener(event, () => { last = Date.now(); }, { passive: true });
  }
  const note = (text) => {
    const place = document.querySelector("[data-live-note]");
    if (place) place.textContent = text;
  };
  const refresh = async () => {
    if (document.hidden) return;
    if (Date.now() - last > PATIENCE) return note("Paused; as of");
    // What somebody is at stays under their hands.
    if (live().contains(document.activeElement) && document.activeElement !== document.body) return note("Held while you are in it; as of");
    try {
      // Says that the rest of the page is not wanted.
      const url = new URL(location.href);
      url.searchParams.set("live", "yes");
      const response = await fetch(url, { redirect: "manual", headers: { Accept: "text/html" } });
      if (response.type === "opaqueredirect") return note("Signed out: load the page again. As of");
      if (!response.ok) throw new Error(String(response.status));
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("[data-live]");
      // In another tab somebody went to another account, or another person signed in: their figures do not belong under this header.
      if (fresh && fresh.dataset.live !== live().dataset.live) {
        return note(`This browser looks at ${fresh.dataset.live} now: load the page again. As of`);
      }
      if (fresh) live().replaceWith(document.adoptNode(fresh));
      note("Live, as of");
    } catch {
      note("Not connected; as of");
    }
  };
  note("Live, as of");
  setInterval(refresh, EVERY);
})();
