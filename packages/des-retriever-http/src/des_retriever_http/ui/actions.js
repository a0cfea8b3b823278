// What can be done with a file: download it, share it, delete it.

import { ask, filePath, hasCredentials, send, urlOf } from './api.js';
import { announce, button, bytes, copy, dashed, el, fault, field, form, moment, terms, uidOf } from './dom.js';
import { working } from './problems.js';

// With credentials, a download passes through the memory of this page; a larger one takes a link that needs none.
const MEMORY_BYTES = 256 * 2 ** 20;
const LINK_SECONDS = 300;
const REASONS = [
  ['user_request', 'Request of a user'],
  ['GDPR', 'GDPR'],
  ['retention_expired', 'Retention has expired'],
];

let lastAuthor = '';

/** The name of a file on a disk: the last part of its uid, without what means something to a system. */
const fileName = (uid) =>
  uid
    .split(/[\\/]/)
    .pop()
    .replace(/[\p{Cc}\p{Cf}<>:"|?*]/gu, '_')
    .replace(/^\.+/, '') || 'file';

export function downloadButton(file, meta) {
  const text = `Download (${bytes(meta.size)})`;
  const query = { created_at: file.createdAt, download: 'true' };
  if (!hasCredentials()) {
    const href = urlOf(filePath(file.uid), query).href;
    return el('a.button.primary', { href, download: fileName(file.uid) }, text);
  }
  const problems = el('div');
  const take = working(problems, async () => {
    await (meta.size <= MEMORY_BYTES ? saveBlob(file, query) : saveByLink(file));
    announce('Download started');
  });
  return el('div.download', button(text, 'primary', take), problems);
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

const closer = (text) => button(text, 'plain', (event) => event.target.closest('dialog').close());

const end = (...buttons) => el('div.actions.end', buttons);

const select = (choices) =>
  el(
    'select',
    choices.map(([value, text]) => el('option', { value }, text)),
  );

export function shareDialog(file) {
  const lasting = select([
    ['3600', 'an hour'],
    ['86400', 'a day'],
    ['604800', 'a week'],
  ]);
  const result = el('div.result', { 'aria-live': 'polite' });
  const make = working(result, async () => {
    const made = await link(file, Number(lasting.value));
    const url = el('input', { readonly: true, value: made.url });
    result.replaceChildren(
      field('share-url', 'Link', url),
      el('p.hint', 'It ends ', moment(made.expires_at), '.'),
      button('Copy', 'plain', () => copy(made.url, url)),
    );
  });
  const warning = [uidOf(file.uid), ' without credentials, until the link ends or the file is deleted.'];
  openDialog(
    'share',
    'Share this file',
    el('p', 'Whoever has the link can read ', warning),
    form(make, {}, field('share-ttl', 'It lasts for', lasting), end(closer('Close'), button('Make a link', 'primary'))),
    result,
  );
}

export function deleteDialog(file, meta) {
  const author = el('input', { value: lastAuthor, autocomplete: 'off' });
  const reason = select(REASONS);
  const ticket = el('input', { autocomplete: 'off' });
  const proceed = () => {
    if (fault(author, author.value.trim() === '' ? 'Say who deletes it; it is kept in the history.' : '')) return;
    lastAuthor = author.value.trim();
    dialog.close();
    confirmDialog(file, meta, { deleted_by: lastAuthor, reason: reason.value, ticket_id: ticket.value.trim() });
  };
  const dialog = openDialog(
    'delete',
    'Delete a file',
    el('p', uidOf(file.uid)),
    form(
      proceed,
      {},
      field('deleted-by', 'Deleted by', author, 'Your name, or the address of your mailbox.'),
      field('reason', 'Reason', reason),
      field('ticket', 'Ticket (if there is one)', ticket),
      end(closer('Keep it'), button('Continue…', 'danger')),
    ),
  );
}

function confirmDialog(file, meta, chosen) {
  const problems = el('div');
  const remove = working(problems, async () => {
    await send(filePath(file.uid), { method: 'DELETE', query: { created_at: file.createdAt, ...chosen } });
    dialog.close();
    announce('File deleted');
    dispatchEvent(new Event('hashchange')); // the same address now shows that it is gone
  });
  const dialog = openDialog(
    'confirm',
    'Delete it for everybody?',
    el('p', 'Nobody will be able to read ', uidOf(file.uid), ' again, and this console cannot bring it back.'),
    terms([
      ['Day', dashed(meta.day)],
      ['Size', bytes(meta.size)],
      ['Deleted by', chosen.deleted_by],
      ['Reason', REASONS.find(([value]) => value === chosen.reason)[1]],
      ['Ticket', chosen.ticket_id],
    ]),
    problems,
    end(closer('Keep it'), button('Delete it for everybody', 'danger', remove)),
  );
}
