// Of a double click the second would take the place of the answer to the first, which may have what is shown once: a code, a
// secret, a session. So a form is sent once, and again after a while, or when its page is come back to. Without this it is sent
// as often as somebody presses.
(() => {
  "use strict";
  const PAUSE = 8_000;
  // At the window it comes last: what the page itself has prevented was not sent.
  addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
    const now = performance.now();
    if (form.dataset.sent !== undefined && now - Number(form.dataset.sent) < PAUSE) return event.preventDefault();
    form.dataset.sent = String(now);
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
})();
