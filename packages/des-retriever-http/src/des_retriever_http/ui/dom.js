// Elements, and how values are shown. Nothing here parses markup: data becomes text nodes and attributes.

/**
 * Make an element: `el('p.note', { id: 'x', onclick: act }, 'text', child)`.
 *
 * Attributes may be left out; those that begin with `on` are listeners. Children that are false or null are left out.
 */
export function el(kind, ...given) {
  const [tag, ...classes] = kind.split('.');
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(' ');
  const hasAttributes = given[0]?.constructor === Object;
  const [attributes, children] = hasAttributes ? [given[0], given.slice(1)] : [{}, given];
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

// Characters that have no shape of their own, or turn the direction of others: a name must not look like another.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]|(?! )\p{Zs}|^ | $/gu;

/** Text as nodes in which every character can be seen. */
export function visible(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(UNSEEN)) {
    const code = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, '0');
    nodes.push(text.slice(end, match.index), el('span.code-point', `U+${code}`));
    end = match.index + match[0].length;
  }
  return [...nodes, text.slice(end)].filter((node) => node !== '');
}

/** A uid, whatever its characters are. */
export const uidOf = (uid) => el('bdi.uid', visible(uid));

const COUNT = new Intl.NumberFormat('en');
export const count = (number) => COUNT.format(number);

/** The right noun for a number: `plural(2, 'entry', 'entries')`. */
export const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

export function bytes(size) {
  if (size < 1024) return plural(size, 'byte', 'bytes');
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = size / 1024;
  let unit = 0;
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** `20251125` as `2025-11-25`. */
export const dashed = (day) => `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}`;

export function moment(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.valueOf())) return String(iso);
  return el('time', { datetime: date.toISOString() }, `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`);
}

/** Tell what happened to those who do not see it. */
export function announce(text) {
  document.getElementById('status').textContent = text;
}

/** A button; one without `onclick` submits its form. */
export const button = (text, kind, onclick, more = {}) =>
  el('button', { type: onclick ? 'button' : 'submit', class: kind, onclick, ...more }, text);

/** A form that the page itself answers. */
export const form = (answer, attributes, ...children) => {
  const onsubmit = (event) => {
    event.preventDefault();
    answer(event);
  };
  return el('form', { novalidate: true, ...attributes, onsubmit }, children);
};

/** A list of terms; rows without a value are left out. */
export function terms(rows) {
  const shown = rows.filter(([, value]) => value !== undefined && value !== null && value !== '');
  return el(
    'dl',
    shown.map(([name, value]) => el('div', el('dt', name), el('dd', value))),
  );
}

/** What is shown where there is nothing to show. */
export function empty(title, ...advice) {
  return el('div.empty', el('p.strong', title), el('p.muted', advice));
}

/** Copy text, also on a page that came without TLS; `field` shows the text. */
export async function copy(text, field) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    field.focus();
    field.select();
    document.execCommand('copy');
  }
  announce('Copied');
}

/** A field with its label, and a hint or an error below. */
export function field(id, label, control, hint) {
  control.id = id;
  control.setAttribute('aria-describedby', `${id}-error${hint ? ` ${id}-hint` : ''}`);
  return el(
    'div.field',
    el('label', { for: id }, label),
    control,
    hint && el('p.hint', { id: `${id}-hint` }, hint),
    el('p.error', { id: `${id}-error`, role: 'alert' }),
  );
}

/** Say what is wrong with a field, or that nothing is (an empty text). */
export function fault(control, text) {
  document.getElementById(`${control.id}-error`).textContent = text;
  control.setAttribute('aria-invalid', text === '' ? 'false' : 'true');
  if (text !== '') control.focus();
  return text !== '';
}
