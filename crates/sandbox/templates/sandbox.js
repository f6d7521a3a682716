// Without this script the pages show everything and their forms work. With it they stay where they are and follow
// the world: an event says that something changed, the page is fetched anew, and what differs is put in its place.
'use strict';

const notice = document.getElementById('notice');
const connection = document.getElementById('connection');

function say(text) {
  if (!notice) return;
  notice.textContent = text;
  notice.hidden = text === '';
}

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!form.hasAttribute('data-form')) return;
  event.preventDefault();
  const button = event.submitter;
  const data = new URLSearchParams(new FormData(form, button));
  const action = button && button.hasAttribute('formaction') ? button.getAttribute('formaction') : form.getAttribute('action');
  try {
    const answer = await fetch(action, { method: 'POST', body: data, headers: { Accept: 'application/json' } });
    if (answer.ok) {
      say('');
      const clears = form.querySelector('[data-clear]');
      if (clears && action === form.getAttribute('action')) clears.value = '';
      if (form.id !== 'add' && form.closest('details.menu')) form.closest('details').open = false;
      refresh();
    } else {
      const problem = await answer.json();
      say(problem.hint ? `${problem.error} (${problem.hint})` : problem.error);
    }
  } catch {
    say('The sandbox does not answer. Is it still running?');
  }
});

// Enter sends a text, as on a phone; with shift it begins a line.
document.addEventListener('keydown', (event) => {
  const field = event.target;
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && field.matches('textarea[data-clear]')) {
    event.preventDefault();
    field.form.requestSubmit();
  }
});

let running = false;
let again = false;

async function refresh() {
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
  const shelf = document.getElementById('phones');
  if (shelf) {
    const wanted = [...fresh.querySelectorAll('[data-phone]')];
    const ids = new Set(wanted.map((phone) => phone.id));
    for (const phone of shelf.querySelectorAll('[data-phone]')) if (!ids.has(phone.id)) phone.remove();
    let before = shelf.firstElementChild;
    for (const phone of wanted) {
      const present = document.getElementById(phone.id);
      if (present) before = present.nextElementSibling;
      else {
        shelf.insertBefore(document.adoptNode(phone), before);
        toEnd(phone.querySelector('[data-follow]'));
      }
    }
  }
  for (const part of fresh.querySelectorAll('[data-live]')) {
    const present = document.getElementById(part.id);
    if (!present || present === part || present.innerHTML === part.innerHTML) continue;
    const atEnd = present.scrollHeight - present.scrollTop - present.clientHeight < 40;
    const focused = present.contains(document.activeElement) ? document.activeElement.id : '';
    const open = [...present.querySelectorAll('details[open][id]')].map((details) => details.id);
    present.replaceChildren(...part.childNodes);
    for (const id of open) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    if (atEnd && present.hasAttribute('data-follow')) toEnd(present);
  }
}

function toEnd(thread) {
  if (thread) thread.scrollTop = thread.scrollHeight;
}

document.querySelectorAll('[data-follow]').forEach(toEnd);

if (document.querySelector('[data-live]')) {
  const events = new EventSource('/_sandbox/events');
  events.addEventListener('revision', refresh);
  events.addEventListener('open', () => { if (connection) connection.hidden = true; });
  events.addEventListener('error', () => { if (connection) connection.hidden = false; });
}
