// The page asks for /admin/report.json each second and draws what changed. It changes something
// only after a login, with the secret that the login returned.

import { Rates } from './rate.js';
import { verdict } from './verdict.js';
import { draw, drawAge } from './view.js';

const every = 1000; // ms
const rates = new Rates();
const $ = id => document.getElementById(id);
let csrf = null;
let heard = 0; // when the last report came

async function look() {
  const began = Date.now();
  try {
    const answer = await fetch('report.json', { signal: AbortSignal.timeout(5000) });
    if (answer.status === 401) {
      drawAge('log in to see the cluster', true);
    } else if (answer.ok) {
      const cluster = rates.take(await answer.json());
      heard = Date.now();
      draw(cluster, verdict(cluster));
    }
  } catch {
    // the age below says how old the picture is
  }
  age();
  setTimeout(look, Math.max(100, every - (Date.now() - began)));
}

function age() {
  if (!heard) return;
  const old = (Date.now() - heard) / 1000;
  drawAge(old < 3 ? 'live' : `no answer for ${Math.round(old)} s`, old >= 3);
}

function knows(secret) {
  csrf = secret;
  $('login').hidden = secret !== null;
  $('reload').hidden = secret === null;
}

async function logIn(token) {
  const answer = await fetch('login', { method: 'POST', body: token });
  const said = await answer.json();
  knows(answer.ok ? said.csrf : null);
  if (!answer.ok) tell(said.text);
}

// tell shows a word of the server's on the button that asked for it, for a while.
function tell(text, button = $('login').querySelector('button')) {
  const was = button.dataset.label ??= button.textContent;
  button.textContent = text;
  clearTimeout(button.timer);
  button.timer = setTimeout(() => { button.textContent = was; }, 4000);
}

$('login').addEventListener('submit', event => {
  event.preventDefault();
  logIn($('token').value.trim());
  $('token').value = '';
});

$('reload').addEventListener('click', async () => {
  const button = $('reload');
  button.disabled = true;
  try {
    const answer = await fetch('reload', { method: 'POST', headers: { 'X-Firefly-CSRF': csrf } });
    tell(answer.ok ? 'Tables reloaded' : 'Refused, see above', button);
    if (answer.status === 401) knows(null);
  } catch {
    tell('No answer', button);
  }
  button.disabled = false;
});

async function begin() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token) {
    history.replaceState(null, '', location.pathname); // a token is not for the history
    await logIn(token);
  } else {
    const answer = await fetch('login');
    knows(answer.ok ? (await answer.json()).csrf : null);
  }
}

begin().catch(() => knows(null));
look();
