// Without this script the pages show everything and their forms work. With it they stay where they are and follow
// the world: an event says that something changed, the page is fetched anew, and what differs is changed in its
// place. What is the same stays the same element, so that focus, selection, scroll positions, and what somebody is
// typing, are kept.
'use strict';

const notice = document.getElementById('notice');
const connection = document.getElementById('connection');

function say(text) {
  if (!notice) return;
  notice.textContent = text;
  notice.hidden = text === '';
}

// ---------------------------------------------------------------- forms

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!form.hasAttribute('data-form')) return;
  event.preventDefault();
  const button = event.submitter;
  const data = new URLSearchParams(new FormData(form, button));
  const action = button && button.hasAttribute('formaction') ? button.getAttribute('formaction') : form.getAttribute('action');
  const clears = form.querySelector('[data-clear]');
  const sent = clears && clears.value;
  try {
    const answer = await fetch(action, { method: 'POST', body: data, headers: { Accept: 'application/json' } });
    if (answer.ok) {
      say('');
      // What was typed meanwhile is the next text.
      if (clears && action === form.getAttribute('action') && clears.value === sent) clears.value = '';
      const menu = form.closest('details.menu');
      if (menu) {
        menu.open = false;
        menu.querySelector('summary').focus({ preventScroll: true });
      }
      refresh();
    } else {
      const problem = await answer.json();
      say(problem.hint ? `${problem.error} (${problem.hint})` : problem.error);
    }
  } catch {
    say('The sandbox does not answer. Is it still running?');
  }
});

document.addEventListener('keydown', (event) => {
  const field = event.target;
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Enter' && !event.shiftKey && field.matches('textarea[data-clear]')) {
    // Enter sends a text, as on a phone; with shift it begins a line.
    event.preventDefault();
    field.form.requestSubmit();
  } else if (/^[0-9*#]$/.test(event.key) && field.closest('.call') && !field.matches('input, textarea')) {
    // Somebody who is at a call presses its keys with the keyboard.
    for (const key of field.closest('.call').querySelectorAll('.keypad button')) if (key.value === event.key) key.click();
  }
});

// ---------------------------------------------------------------- following

let running = false;
let again = false;

async function refresh() {
  // Nobody looks at it; it is fetched when somebody does.
  if (document.hidden) return;
  if (running) {
    again = true;
    return;
  }
  running = true;
  do {
    again = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
      if (answer.ok) put(new DOMParser().parseFromString(await answer.text(), 'text/html'));
    } catch {
      // The stream of events says that the connection is gone.
    }
  } while (again);
  running = false;
}

function put(fresh) {
  const before = document.activeElement;
  const phone = before && before.closest('[data-phone]');
  for (const part of fresh.querySelectorAll('[data-live]')) {
    const present = document.getElementById(part.id);
    if (present) become(present, part);
  }
  document.querySelectorAll('[data-follow]').forEach(toEnd);
  // A button that is gone leaves the focus on its phone, and not at the top of the page.
  if (before && !before.isConnected && phone && phone.isConnected) {
    phone.querySelector('[data-follow]').focus({ preventScroll: true });
  }
}

// Makes an element that is there like one of the page as it is now.
function become(present, fresh) {
  if (present.nodeType !== Node.ELEMENT_NODE) {
    if (present.data !== fresh.data) present.data = fresh.data;
    return;
  }
  if (present.hasAttribute('data-mine')) return;
  // What somebody has opened or closed stays so.
  const isTheirs = (name) => name === 'open' && present.nodeName === 'DETAILS';
  for (const { name, value } of fresh.attributes) {
    if (!isTheirs(name) && present.getAttribute(name) !== value) present.setAttribute(name, value);
  }
  for (const { name } of [...present.attributes]) {
    if (!isTheirs(name) && !fresh.hasAttribute(name)) present.removeAttribute(name);
  }
  becomeWithin(present, fresh);
}

// Elements with an id are known by it; others by their place among those of the same kind.
function becomeWithin(present, fresh) {
  const wanted = new Set([...fresh.children].map((child) => child.id));
  const known = new Map();
  for (const child of [...present.children]) {
    if (child.id && !wanted.has(child.id)) child.remove();
    else if (child.id) known.set(child.id, child);
  }
  let at = present.firstChild;
  for (const part of [...fresh.childNodes]) {
    let same = part.id ? known.get(part.id) : at;
    if (!part.id) while (same && (same.id || same.nodeName !== part.nodeName)) same = same.nextSibling;
    if (same && same.nodeName === part.nodeName) {
      if (same === at) at = at.nextSibling;
      else present.insertBefore(same, at);
      become(same, part);
    } else {
      present.insertBefore(document.importNode(part, true), at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// A conversation shows its end, unless somebody has scrolled back in it.
const scrolledBack = new WeakSet();

function toEnd(thread) {
  if (!scrolledBack.has(thread)) thread.scrollTop = thread.scrollHeight;
}

document.addEventListener('scroll', ({ target }) => {
  if (!(target instanceof Element) || !target.hasAttribute('data-follow')) return;
  if (target.scrollHeight - target.scrollTop - target.clientHeight < 40) scrolledBack.delete(target);
  else scrolledBack.add(target);
}, true);

// A picture takes its place only when it has arrived.
document.addEventListener('load', ({ target }) => {
  const thread = target instanceof HTMLImageElement && target.closest('[data-follow]');
  if (thread) toEnd(thread);
}, true);

document.querySelectorAll('[data-follow]').forEach(toEnd);

// ---------------------------------------------------------------- time

// A real clock goes on while nothing happens. The server says how far it is from the machine's.
const clock = document.querySelector('[data-ticks] time');
if (clock) {
  const ahead = Date.parse(clock.dateTime) - Date.now();
  const tick = () => {
    if (document.hidden) return;
    clock.textContent = `${new Date(Date.now() + ahead).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  };
  setInterval(tick, 1000);
  tick();
}

if (document.querySelector('main[data-live]')) {
  const events = new EventSource('/_sandbox/events');
  events.addEventListener('revision', refresh);
  events.addEventListener('open', () => { if (connection) connection.hidden = true; });
  events.addEventListener('error', () => { if (connection) connection.hidden = false; });
  document.addEventListener('visibilitychange', refresh);
}
