// Finding a file: by its uid and the time that its writer gave.

import { button, dashed, el, fault, field, form, visible } from './dom.js';

/** The address of a file in this console. */
export const fileAddress = (uid, createdAt) =>
  `#/file/${encodeURIComponent(uid)}?created_at=${encodeURIComponent(createdAt)}`;

const DAY = /^(\d{4})-?(\d\d)-?(\d\d)$/;
const OFFSET = /(Z|[+-]\d\d(:?\d\d)?)$/i;

/** What was typed as a time with an offset; a day alone is its midnight in UTC. */
export function createdAtOf(text) {
  const day = DAY.exec(text);
  const time = day ? `${day[1]}-${day[2]}-${day[3]}T00:00:00Z` : text.replace(/^(\S+) (\d)/, '$1T$2');
  if (text === '') return { error: 'Enter the day, or the time, at which the file was created.' };
  const date = new Date(time);
  const isOff = day && !Number.isNaN(date.valueOf()) && date.getUTCDate() !== Number(day[3]);
  if (Number.isNaN(date.valueOf()) || isOff) return { error: 'This is no date; write it like 2025-11-25.' };
  if (!OFFSET.test(time)) return { error: 'Add Z (UTC) or an offset such as +01:00: without one, the day is a guess.' };
  return { time, day: date.toISOString().slice(0, 10) };
}

/** The form; `uid` and `createdAt` fill it. */
export function findForm(uid = '', createdAt = '') {
  const name = el('input', {
    type: 'text',
    value: uid,
    autocomplete: 'off',
    spellcheck: 'false',
    autocapitalize: 'off',
  });
  const shown = createdAt.replace(/T00:00:00Z$/, '');
  const time = el('input', { type: 'text', value: shown, autocomplete: 'off', placeholder: '2025-11-25' });
  const timeField = field('created-at', 'Created on', time, 'A day (UTC), or a time with its offset.');
  const hint = timeField.querySelector('.hint');
  time.addEventListener('input', () => {
    const { day } = createdAtOf(time.value.trim());
    hint.textContent = day ? `Looks in the UTC day ${day}.` : 'A day (UTC), or a time with its offset.';
  });
  const find = () => {
    const created = createdAtOf(time.value.trim());
    const isUnnamed = fault(name, name.value === '' ? 'Enter the uid of the file.' : '');
    if (isUnnamed || fault(time, created.error ?? '')) return;
    const address = fileAddress(name.value, created.time);
    if (address === location.hash) dispatchEvent(new Event('hashchange'));
    else location.hash = address;
  };
  const look = { class: 'find card', role: 'search' };
  return form(find, look, field('uid', 'Uid', name), timeField, button('Find', 'primary'));
}

/** The first page. */
export async function showFind(view) {
  view.append(
    el('h1', { tabindex: '-1' }, 'Find a file'),
    el('p.lead', 'Its uid and the day it was created say where it is; there is nothing else to search.'),
    findForm(),
    el(
      'p.muted',
      'You know only the day? ',
      el('a', { href: '#/browse' }, 'Browse what is there'),
      ' and filter by how a uid begins.',
    ),
  );
}

/** A link to a file that a listing has. */
export const fileLink = (uid, day) =>
  el('a', { href: fileAddress(uid, `${dashed(day)}T00:00:00Z`) }, el('bdi', visible(uid)));
