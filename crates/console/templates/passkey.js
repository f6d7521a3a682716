// Carries what a page asks of a passkey to the browser, and what the authenticator answers back, in the form that is
// there for it. It decides nothing: the server looks at every answer. Without it the form stays hidden, and what is
// written in its place says so.
(() => {
  "use strict";
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (it) => it.charCodeAt(0));
  const text = (buffer) => btoa(Array.from(new Uint8Array(buffer), (it) => String.fromCharCode(it)).join(""))
    .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  const known = (list) => list.map((it) => ({ ...it, id: bytes(it.id) }));

  const make = async (options) => {
    const user = { ...options.user, id: bytes(options.user.id) };
    const publicKey =
      { ...options, challenge: bytes(options.challenge), user, excludeCredentials: known(options.excludeCredentials) };
    const { response } = await navigator.credentials.create({ publicKey });
    return {
      "client-data": text(response.clientDataJSON),
      "attestation": text(response.attestationObject),
      "transports": response.getTransports ? response.getTransports().join(" ") : "",
    };
  };
  const use = async (options) => {
    const publicKey =
      { ...options, challenge: bytes(options.challenge), allowCredentials: known(options.allowCredentials) };
    const { rawId, response } = await navigator.credentials.get({ publicKey });
    return {
      "credential": text(rawId),
      "client-data": text(response.clientDataJSON),
      "authenticator-data": text(response.authenticatorData),
      "signature": text(response.signature),
      "user-handle": response.userHandle ? text(response.userHandle) : "",
    };
  };

  const inWords = (error) => ({
    InvalidStateError: "This device has a passkey of yours already.",
    NotAllowedError: "No passkey was used: it was cancelled, or took too long. Try again when you are ready.",
    SecurityError: "This is not the address that passkeys work at.",
    NotSupportedError: "This device makes no passkey that is taken here.",
  })[error.name] ?? (error.isOurs ? error.message : "The browser did not do it. Load the page again, and try once more.");

  const ask = async (path, csrf) => {
    const answer = await fetch(path, { method: "POST", body: new URLSearchParams({ csrf }), redirect: "error" });
    const isJson = (answer.headers.get("content-type") ?? "").startsWith("application/json");
    const told = isJson ? await answer.json()
      : { refused: answer.status === 403 ? "This page is out of date. Load it again." : "Ringfence does not answer. Try again in a moment." };
    if (!answer.ok) throw Object.assign(new Error(told.refused), { isOurs: true });
    return told;
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const note = document.getElementById(form.dataset.note);
    const button = form.querySelector("button");
    const say = (words) => { note.textContent = words; note.hidden = !words; };
    if (!window.PublicKeyCredential) {
      say("This browser knows no passkeys. Use another one, or another factor.");
      continue;
    }
    say("");
    form.hidden = false;
    if (form.dataset.first !== undefined) button.focus();
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      say("");
      try {
        const options = await ask(form.dataset.passkey, form.elements.csrf.value);
        const answer = await (options.user ? make(options) : use(options));
        for (const [name, value] of Object.entries(answer)) form.elements[name].value = value;
        form.submit();
      } catch (error) {
        say(inWords(error));
        button.disabled = false;
        button.focus();
      }
    });
  }
})();
