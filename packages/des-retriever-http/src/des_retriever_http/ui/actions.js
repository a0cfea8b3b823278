// What can be done with a file: download it, share it, delete it.

import { ask, filePath, hasCredentials, send, urlOf } from './api.js';
import { announce, bytes, copy, el, fault, field, moment, terms, uidOf } from './dom.js';
import { problemCard } from './problems.js';

// With credentials, a download passes through the memory of this page; a larger one takes a link that needs none.
const MEMORY_BYTES = 256 * 2 ** 20;
const LINK_SECONDS = 300;
const REASONS = [['user_request', 'Request of a user'], ['GDPR', 'GDPR'], ['retention_expired', 'Retention has expired']];

let lastAuthor = '';

/** The name of a file on a disk: the last part of its uid, without what means something to a system. */
const fileName = (uid) => uid.split(/[\\/]/).pop().replace(/[\p{Cc}\p{Cf}<>:"|?*]/gu, '_').replace(/^\.+/, '') || 'file';

export function downloadButton(file, meta) {
  const text = `Download (${bytes(meta.size)})`;
  const query = { created_at: file.createdAt, download: 'true' };
  if (!hasCredentials()) {
    const href = urlOf(filePath(file.uid), query).href;
    return el('a', { class: 'button primary', href, download: fileName(file.uid) }, text);
  }
  const button = el('button', { type: 'button', class: 'primary' }, text);
  const problems = el('div', {});
  button.addEventListener('click', async () => {
    problems.replaceChildren();
    button.disabled = true;
    try {
      await (meta.size <= MEMORY_BYTES ? saveBlob(file, query) : saveByLink(file));
      announce('Download started');
    } catch (error) {
      problems.append(problemCard(error));
    }
    button.disabled = false;
  });
  return el('div', { class: 'download' }, button, problems);
}

async function saveBlob(file, query) {
  const blob = await (await send(filePath(file.uid), { query })).blob();
  // As octets, so that it is saved whatever it is.
  const url = URL.createObjectURL(new Blob([blob], { type: 'application/octet-stream' }));
  save(url, file);
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function saveByLink(file) {
  save((await link(file, LINK_SECONDS)).url, file);
}

const save = (href, file) => el('a', { href, download: fileName(file.uid) }).click();

async function link(file, seconds) {
  const query = { created_at: file.createdAt, ttl_seconds: String(seconds) };
  const made = await ask(filePath(file.uid, '/locator'), { method: 'POST', query });
  return { ...made, url: urlOf(made.url).href };
}

/** A dialog that is gone when it is closed. */
function openDialog(id, title, ...children) {
  const dialog = el('dialog', { 'aria-labelledby': `${id}-title` }, el('h2', { id: `${id}-title` }, title), children);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

const closer = (text) => el('button', { type: 'button', class: 'plain', onclick: (event) => event.target.closest('dialog').close() }, text);

export function shareDialog(file) {
  const choices = [['3600', 'an hour'], ['86400', 'a day'], ['604800', 'a week']];
  const lasting = el('select', {}, choices.map(([value, text]) => el('option', { value }, text)));
  const result = el('div', { class: 'result', 'aria-live': 'polite' });
  const make = async (event) => {
    event.preventDefault();
    try {
      const made = await link(file, Number(lasting.value));
      const url = el('input', { type: 'text', readonly: true, value: made.url });
      result.replaceChildren(
        field('share-url', 'Link', url),
        el('p', { class: 'hint' }, 'It ends ', moment(made.expires_at), '.'),
        el('button', { type: 'button', class: 'plain', onclick: () => copy(made.url, url) }, 'Copy'),
      );
    } catch (error) {
      result.replaceChildren(problemCard(error));
    }
  };
  openDialog(
    'share',
    'Share this file',
    el('p', {}, 'Whoever has the link can read ', uidOf(file.uid), ' without credentials, until the link ends or the file is deleted.'),
    el(
      'form',
      { onsubmit: make },
      field('share-ttl', 'It lasts for', lasting),
      el('div', { class: 'actions end' }, closer('Close'), el('button', { type: 'submit', class: 'primary' }, 'Make a link')),
    ),
    result,
  );
}

export function deleteDialog(file, meta) {
  const author = el('input', { type: 'text', value: lastAuthor, autocomplete: 'off' });
  const reason = el('select', {}, REASONS.map(([value, text]) => el('option', { value }, text)));
  const ticket = el('input', { type: 'text', autocomplete: 'off' });
  const ask = (event) => {
    event.preventDefault();
    if (fault(author, author.value.trim() === '' ? 'Say who deletes it; it is kept in the history.' : '')) return;
    lastAuthor = author.value.trim();
    dialog.close();
    const chosen = { deleted_by: lastAuthor, reason: reason.value, ticket_id: ticket.value.trim() };
    confirmDialog(file, meta, chosen);
  };
  const dialog = openDialog(
    'delete',
    'Delete a file',
    el('p', {}, uidOf(file.uid)),
    el(
      'form',
      { novalidate: true, onsubmit: ask },
      field('deleted-by', 'Deleted by', author, 'Your name, or the address of your mailbox.'),
      field('reason', 'Reason', reason),
      field('ticket', 'Ticket (if there is one)', ticket),
      el('div', { class: 'actions end' }, closer('Keep it'), el('button', { type: 'submit', class: 'danger' }, 'Continue…')),
    ),
  );
}

function confirmDialog(file, meta, chosen) {
  const problems = el('div', {});
  const submit = el('button', { type: 'button', class: 'danger' }, 'Delete it for everybody');
  submit.addEventListener('click', async () => {
    submit.disabled = true;
    try {
      await send(filePath(file.uid), { method: 'DELETE', query: { created_at: file.createdAt, ...chosen } });
      dialog.close();
      announce('File deleted');
      dispatchEvent(new Event('hashchange')); // the same address now shows that it is gone
    } catch (error) {
      problems.replaceChildren(problemCard(error));
      submit.disabled = false;
    }
  });
  const dialog = openDialog(
    'confirm',
    'Delete it for everybody?',
    el('p', {}, 'Nobody will be able to read ', uidOf(file.uid), ' again, and this console cannot bring it back.'),
    terms([
      ['Day', `${meta.day.slice(0, 4)}-${meta.day.slice(4, 6)}-${meta.day.slice(6)}`],
      ['Size', bytes(meta.size)],
      ['Deleted by', chosen.deleted_by],
      ['Reason', REASONS.find(([value]) => value === chosen.reason)[1]],
      ['Ticket', chosen.ticket_id],
    ]),
    problems,
    el('div', { class: 'actions end' }, closer('Keep it'), submit),
  );
}
