// One file: what it is, how it looks, what happened to it, and what can be done with it.

import { ask, filePath } from './api.js';
import { deleteDialog, downloadButton, shareDialog } from './actions.js';
import { announce, button, bytes, count, dashed, el, empty, moment, terms, uidOf, visible } from './dom.js';
import { createdAtOf, findForm } from './find.js';
import { showPreview } from './preview.js';
import { problemCard } from './problems.js';

const MISSING = 404;
const GONE = 410;

/** The view of one file. */
export async function showFile(view, { rest, query }, signal) {
  const file = { uid: rest.join('/'), createdAt: query.get('created_at') ?? '' };
  const waiting = el('p.waiting.muted', 'Looking…');
  const where = el('p.eyebrow');
  const name = el('h1', { tabindex: '-1' }, uidOf(file.uid));
  view.append(findForm(file.uid, file.createdAt), el('div.heading', where, name), waiting);
  document.title = `${file.uid.replace(/\p{C}/gu, '')} – Data Easy Store`;
  try {
    const meta = await ask(filePath(file.uid, '/meta'), { query: { created_at: file.createdAt }, signal });
    waiting.replaceWith(...found(file, meta, signal));
    where.textContent = `${dashed(meta.day)}, shard ${meta.shard}`;
    announce('File found');
  } catch (error) {
    if (error.status === GONE) waiting.replaceWith(...deleted(file, error, signal));
    else if (error.status === MISSING) waiting.replaceWith(missing(file, error));
    else throw error;
  }
}

function found(file, meta, signal) {
  const opening = { 'aria-haspopup': 'dialog' };
  const preview = card('preview', 'Preview');
  showPreview(preview, file, meta, signal);
  return [
    el(
      'div.actions',
      downloadButton(file, meta),
      button('Share…', 'plain', () => shareDialog(file), opening),
      button('Delete…', 'plain', () => deleteDialog(file, meta), opening),
    ),
    el('div.columns', preview, el('div.stack', details(meta), history(file, signal))),
  ];
}

function missing(file, error) {
  const { day } = createdAtOf(file.createdAt);
  const advice = [
    'Capital and small letters differ in a uid, and the day is the one in UTC. ',
    day && el('a', { href: `#/browse/${day.replaceAll('-', '')}` }, `See what is there on ${day}`),
  ];
  return problemCard(error, { advice });
}

function deleted(file, error, signal) {
  return [
    el(
      'div.card.calm',
      { role: 'status' },
      el('h2', 'This file was deleted'),
      el('p', 'Nobody can read it any more. Its bytes go when its archive is compacted.'),
      terms([
        ['Answer', error.detail],
        ['Code', el('code', error.code)],
        ['Request id', error.requestId && el('code', error.requestId)],
      ]),
    ),
    history(file, signal),
  ];
}

const card = (id, title, ...children) =>
  el('section.card', { 'aria-labelledby': `${id}-title` }, el('h2', { id: `${id}-title` }, title), children);

function details(meta) {
  const stored = meta.external
    ? 'beside the archive'
    : `${bytes(meta.stored_size)}, ${meta.codec === 'none' ? 'plain' : meta.codec}`;
  const code = (text) => text && el('code', text);
  const rows = terms([
    ['Size', `${bytes(meta.size)}${meta.size >= 1024 ? ` (${count(meta.size)} bytes)` : ''}`],
    ['Type', meta.content_type],
    ['Stored', stored],
    ['Archive', code(meta.archive_id)],
    ['Archived', moment(meta.last_modified)],
    ['SHA-256', code(meta.sha256)],
    ['ETag', code(meta.etag)],
  ]);
  const added = Object.entries(meta.meta).map(([name, value]) => [
    visible(name),
    el('bdi', visible(typeof value === 'string' ? value : JSON.stringify(value))),
  ]);
  const none = el('p.muted', 'Its writer added none.');
  return card('details', 'Details', rows, el('h3', 'Metadata'), added.length ? terms(added) : none);
}

function history(file, signal) {
  const section = card('history', 'History', el('p.waiting.muted', 'Looking…'));
  const show = (node) => section.querySelector('.waiting').replaceWith(node);
  const query = { created_at: file.createdAt };
  ask(filePath(file.uid, '/history'), { query, signal }).then(
    ({ commits }) => show(commits.length ? el('ol.history', commits.map(event)) : empty('Nothing is recorded.')),
    (error) => signal.aborted || show(problemCard(error)),
  );
  return section;
}

const event = ({ sequence, operation, at, by, reason, ticket }) =>
  el(
    'li',
    el('span.strong', operation),
    el('span.muted', ' ', moment(at), `, commit ${sequence}`),
    terms([
      ['By', by && el('bdi', visible(by))],
      ['Reason', reason && visible(reason)],
      ['Ticket', ticket && visible(ticket)],
    ]),
  );
