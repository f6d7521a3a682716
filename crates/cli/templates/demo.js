// Posts the forms without leaving the place, and keeps the page fresh: what goes on elsewhere, on the phone or in another tab,
// is put in the place of the old. Everything works without it.
(() => {
  "use strict";
  const BUSY = 300, CALM = 2000;
  const parts = () => document.querySelectorAll("[data-live], form[action='/money']");
  const key = (part) => part.id || part.getAttribute("action");

  // What each part was when it came; a browser writes some things otherwise than they came.
  const came = new WeakMap();

  // Puts the parts of a fresh page in the place of the old ones. What somebody types into stays, but in the chapter whose form
  // was posted.
  const show = (text, posted) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const found = new Map([...fresh.querySelectorAll("[data-live], form[action='/money']")].map((it) => [key(it), it]));
    const focused = document.activeElement && document.activeElement.id;
    for (const old of parts()) {
      const part = found.get(key(old));
      if (!part || part.outerHTML === (came.get(old) ?? old.outerHTML)) continue;
      const typed = [...old.querySelectorAll("input")].some((it) => it.value !== it.defaultValue || it === document.activeElement);
      const all = posted && posted.contains(old);
      if (!all && typed) { update(old, part); continue; }
      const html = part.outerHTML;
      const opened = new Map([...old.querySelectorAll("details")].map((it) => [it.id, it.open]));
      old.replaceWith(document.adoptNode(part));
      came.set(part, html);
      if (!all) for (const it of part.querySelectorAll("details")) if (opened.has(it.id)) it.open = opened.get(it.id);
      for (const thread of part.querySelectorAll(".thread")) thread.scrollTop = thread.scrollHeight;
    }
    if (focused && document.activeElement === document.body) {
      const again = document.getElementById(focused) || document.querySelector("#door input, #door button");
      if (again) again.focus({ preventScroll: true });
    }
  };
  // While somebody types, the phone beside goes on.
  const update = (old, part) => {
    const [was, is] = [old.querySelector(".phone"), part.querySelector(".phone")];
    if (was && is && was.outerHTML !== is.outerHTML) was.replaceWith(document.adoptNode(is));
  };

  const stopped = (is) => { document.querySelector(".stopped").hidden = !is; };

  let isPosting = false;
  const refresh = async () => {
    if (!document.hidden && !isPosting) {
      try {
        const answer = await fetch("/", { headers: { Accept: "text/html" } });
        const text = await answer.text();
        if (answer.ok && !isPosting) show(text, null);
        stopped(false);
      } catch {
        stopped(true);
      }
    }
    setTimeout(refresh, document.querySelector("[data-busy]") ? BUSY : CALM);
  };
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    event.preventDefault();
    if (isPosting) return;
    isPosting = true;
    document.body.classList.add("posting");
    try {
      const fields = new URLSearchParams(new FormData(form, event.submitter));
      const answer = await fetch(form.action, { method: "POST", body: fields });
      if (!answer.ok) throw new Error(String(answer.status));
      show(await answer.text(), form.closest(".chapter"));
      stopped(false);
    } catch {
      stopped(true);
    } finally {
      isPosting = false;
      document.body.classList.remove("posting");
    }
  });
  setTimeout(refresh, CALM);
})();
