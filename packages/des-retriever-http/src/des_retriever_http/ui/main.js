// The console: which view the address asks for, and credentials.

import { Problem, currentCredentials, useCredentials } from './api.js';
import { showBrowse } from './browse.js';
import { el, fault } from './dom.js';
import { showFile } from './file.js';
import { showFind } from './find.js';
import { showLive } from './live.js';
import { problemCard } from './problems.js';

const main = document.getElementById('main');
const views = { find: showFind, file: showFile, browse: showBrowse, live: showLive };
let leaving = new AbortController();

/** The address `#/file/a%2Fb?created_at=...` as `{ name: 'file', rest: ['a/b'], query }`. */
function route() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const [name, ...rest] = path.split('/');
  try {
    return { name: name || 'find', rest: rest.map(decodeURIComponent), query: new URLSearchParams(query ?? '') };
  } catch {
    throw new Problem({ title: 'This address is damaged', detail: 'Its percent-encoding is not complete.' });
  }
}

async function show(isFirst) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const view = el('div.view');
  main.replaceChildren(view);
  try {
    const asked = route();
    document.title = 'Data Easy Store';
    mark(asked.name);
    const work = Object.hasOwn(views, asked.name) ? views[asked.name](view, asked, signal) : undefined;
    if (work === undefined)
      throw new Problem({ title: 'There is no such page', detail: 'Follow one of the links above.' });
    // Whoever followed a link continues at what it led to; whoever has just come is left alone.
    if (!isFirst) (view.querySelector('h1') ?? main).focus({ preventScroll: true });
    if (!isFirst) scrollTo(0, 0);
    await work;
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Problem)) console.error(error);
    view.querySelector('.waiting')?.remove();
    if (!view.querySelector('h1')) view.append(el('h1', { tabindex: '-1' }, 'Data Easy Store'));
    view.append(problemCard(error, { retry: () => show(false) }));
  }
}

function mark(name) {
  for (const link of document.querySelectorAll('nav a')) {
    const isHere = link.dataset.view === (name === 'file' ? 'find' : name);
    if (isHere) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

const dialog = document.getElementById('settings');
const form = dialog.querySelector('form');
const opener = document.getElementById('open-settings');

function openSettings() {
  const { kind, secret, keep } = currentCredentials();
  form.kind.value = kind;
  form.secret.value = secret;
  form.keep.checked = Boolean(keep);
  fault(form.secret, '');
  adapt();
  dialog.showModal();
}

function adapt() {
  document.getElementById('secret-field').hidden = form.kind.value === 'none';
  document.getElementById('secret-label').textContent = form.kind.value === 'bearer' ? 'Token' : 'API key';
}

function label() {
  const text = { none: 'Credentials', key: 'API key in use', bearer: 'Token in use' };
  const { kind } = currentCredentials();
  opener.querySelector('span').textContent = text[kind];
  opener.classList.toggle('in-use', kind !== 'none');
}

form.addEventListener('change', adapt);
form.addEventListener('submit', (event) => {
  if (event.submitter?.value === 'cancel') return;
  const [kind, secret] = [form.kind.value, form.secret.value.trim()];
  const isBad = kind !== 'none' && !/^[\x21-\x7e]+$/.test(secret);
  if (fault(form.secret, isBad ? 'It is made of letters, digits and signs, without blanks.' : '')) {
    event.preventDefault();
    return;
  }
  useCredentials({ kind, secret, keep: form.keep.checked });
  label();
  show(true);
});
dialog.addEventListener('close', () => form.reset());
opener.addEventListener('click', openSettings);
document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault(); // the address belongs to the view
  main.focus();
});
addEventListener('hashchange', () => show(false));
label();
show(true);
