// What is there: days, the shards of a day, the archives and entries of a shard.

import { ask } from './api.js';
import { announce, button, bytes, count, dashed, el, empty, form, moment, plural, visible } from './dom.js';
import { fileLink } from './find.js';

const PAGE_ENTRIES = 50;
const MOST_SHARDS = 1024;
const MONTH = new Intl.DateTimeFormat('en', { month: 'long', year: 'numeric', timeZone: 'UTC' });
const WEEKDAY = new Intl.DateTimeFormat('en', { weekday: 'short', timeZone: 'UTC' });
const dateOf = (day) => new Date(`${dashed(day)}T00:00:00Z`);

/** `#/browse`, `#/browse/DAY`, `#/browse/DAY/SHARD` and `#/browse/DAY/all`. */
export async function showBrowse(view, { rest: [day, shard], query }, signal) {
  document.title = 'Browse – Data Easy Store';
  if (day) view.append(crumbs(day, shard));
  if (!day) return showDays(view, signal);
  if (!shard) return showShards(view, day, signal);
  return showEntries(view, { day, shard: shard === 'all' ? '' : shard }, query, signal);
}

function crumbs(day, shard) {
  const last = shard && [shard === 'all' ? 'All entries' : `Shard ${shard}`, ''];
  const steps = [['Days', '#/browse'], [dashed(day), `#/browse/${day}`], last];
  const shown = steps.filter(Boolean);
  const step = ([text, href], index) =>
    el('li', index === shown.length - 1 ? el('span', { 'aria-current': 'page' }, text) : el('a', { href }, text));
  return el('nav.crumbs', { 'aria-label': 'Where you are' }, el('ol', shown.map(step)));
}

const title = (view, text, ...more) => view.append(el('div.heading', el('h1', { tabindex: '-1' }, text), more));

async function showDays(view, signal) {
  title(view, 'Days');
  const { days } = await ask('days', { signal });
  if (days.length === 0) {
    view.append(empty('The store is empty.', 'Days appear here as soon as something is written to it.'));
    return;
  }
  view.append(
    el('p.lead', `${plural(days.length, 'day has', 'days have')} entries; the latest come first. Days are in UTC.`),
  );
  const months = Map.groupBy(days.toSorted().reverse(), (day) => day.slice(0, 6));
  for (const [month, itsDays] of months) {
    const name = MONTH.format(dateOf(`${month}01`));
    const id = `month-${month}`;
    const chips = itsDays.map((day) => {
      const [weekday, number] = [WEEKDAY.format(dateOf(day)), Number(day.slice(6))];
      const link = { class: 'chip', href: `#/browse/${day}`, 'aria-label': `${weekday} ${number} ${name}` };
      return el('li', el('a', link, el('span.muted', weekday), ` ${number}`));
    });
    view.append(el('section.card', { 'aria-labelledby': id }, el('h2', { id }, name), el('ul.chips', chips)));
  }
}

async function showShards(view, day, signal) {
  title(view, dashed(day));
  const { shards } = await ask(`days/${encodeURIComponent(day)}/shards`, { signal });
  if (shards.length === 0) {
    view.append(empty('Nothing was written on this day.', el('a', { href: '#/browse' }, 'Choose another day')));
    return;
  }
  const list = el('ul.chips');
  const note = el('p.muted');
  const show = (prefix) => {
    const matching = shards.filter((shard) => shard.startsWith(prefix));
    list.replaceChildren(
      ...matching
        .slice(0, MOST_SHARDS)
        .map((shard) => el('li', el('a.chip.mono', { href: `#/browse/${day}/${shard}` }, shard))),
    );
    note.textContent =
      matching.length > MOST_SHARDS ? `${count(MOST_SHARDS)} of ${count(matching.length)} are shown.` : '';
  };
  show('');
  const filter = el('input', {
    id: 'shard-filter',
    type: 'search',
    autocomplete: 'off',
    oninput: () => show(filter.value.trim().toUpperCase()),
  });
  view.append(
    el(
      'p.lead',
      `${plural(shards.length, 'shard', 'shards')}. `,
      el('a', { href: `#/browse/${day}/all` }, 'List all entries of the day'),
    ),
    el(
      'section.card',
      { 'aria-labelledby': 'shards-title' },
      el('h2', { id: 'shards-title' }, 'Shards'),
      shards.length > 64 && el('div.field', el('label', { for: 'shard-filter' }, 'Begins with'), filter),
      list,
      note,
    ),
  );
}

async function showEntries(view, { day, shard }, query, signal) {
  title(view, shard ? `Shard ${shard}` : 'All entries', el('p.eyebrow', dashed(day)));
  const here = `#/browse/${day}/${shard || 'all'}`;
  const [prefix, cursor] = [query.get('prefix') ?? '', query.get('cursor') ?? ''];
  const filter = el('input', { id: 'prefix', type: 'search', value: prefix, autocomplete: 'off', spellcheck: 'false' });
  const narrow = () => {
    location.hash = filter.value ? `${here}?prefix=${encodeURIComponent(filter.value)}` : here;
  };
  const label = el('label', { for: 'prefix' }, 'Uid begins with');
  view.append(form(narrow, { class: 'filter', role: 'search' }, label, filter, button('Filter', 'plain')));
  const page = await ask('files', { query: { day, shard, prefix, cursor, limit: String(PAGE_ENTRIES) }, signal });
  view.append(page.entries.length ? table(page.entries, !shard) : nothing(prefix, here));
  view.append(pager(page, here, prefix, cursor));
  announce(`${plural(page.entries.length, 'entry', 'entries')} on this page`);
  if (shard) view.append(await archives(day, shard, signal));
}

function nothing(prefix, here) {
  if (prefix === '') return empty('There are no entries here.', 'What was deleted or has expired is not listed.');
  return empty('No uid begins like that.', el('a', { href: here }, 'Show all of them'));
}

/** A table whose rows become cards on narrow screens, where each cell says its column. */
function grid(caption, columns, rows) {
  const head = el(
    'tr',
    columns.map((name) => el('th', { scope: 'col' }, name)),
  );
  const line = (cells) =>
    el(
      'tr',
      cells.map((cell, index) => el('td', { 'data-label': columns[index] }, cell)),
    );
  return el('table', el('caption.unseen', caption), el('thead', head), el('tbody', rows.map(line)));
}

function table(entries, withShard) {
  const columns = ['Uid', 'Size', withShard && 'Shard', 'Archive'].filter(Boolean);
  const rows = entries.map((entry) =>
    [
      fileLink(entry.uid, entry.day),
      bytes(entry.size),
      withShard && el('code', entry.shard),
      el('code', entry.archive_id),
    ].filter(Boolean),
  );
  return grid('Entries', columns, rows);
}

function pager(page, here, prefix, cursor) {
  const address = (next) => {
    const query = new URLSearchParams();
    if (prefix) query.set('prefix', prefix);
    if (next) query.set('cursor', next);
    return query.size ? `${here}?${query}` : here;
  };
  if (!page.next && !cursor) return '';
  return el(
    'nav.actions',
    { 'aria-label': 'Pages' },
    cursor && el('a.button.plain', { href: address('') }, 'First page'),
    page.next && el('a.button.plain', { href: address(page.next) }, 'Next page'),
  );
}

async function archives(day, shard, signal) {
  const { archives: found } = await ask(
    `days/${encodeURIComponent(day)}/shards/${encodeURIComponent(shard)}/archives`,
    { signal },
  );
  const rows = found.map((one) => [
    el('code', visible(one.archive_id)),
    count(one.entry_count),
    bytes(one.size),
    moment(one.created_at),
  ]);
  return el(
    'section',
    { 'aria-labelledby': 'archives-title' },
    el('h2', { id: 'archives-title' }, 'Archives'),
    rows.length ? grid('Archives', ['Archive', 'Entries', 'Size', 'Created'], rows) : empty('There is no archive.'),
  );
}
