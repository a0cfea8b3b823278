// How a file looks. Nothing that it holds can run: text is text, and the only documents that a browser gets are raster
// images and PDF, by their first bytes and never by what somebody says they are.

import { filePath, hasCredentials, send, urlOf } from './api.js';
import { button, bytes, el, empty } from './dom.js';
import { prettyJson } from './json.js';
import { problemCard, working } from './problems.js';

const HEAD_BYTES = 256 * 1024;
const AUTO_BYTES = 8 * 2 ** 20;
const LARGEST_BYTES = 128 * 2 ** 20;
const HEX_BYTES = 256;

const latin = (head, start, end) => String.fromCharCode(...head.subarray(start, end));
const IMAGES = [
  ['image/png', (head) => latin(head, 0, 4) === '\x89PNG'],
  ['image/jpeg', (head) => latin(head, 0, 3) === '\xff\xd8\xff'],
  ['image/gif', (head) => latin(head, 0, 4) === 'GIF8'],
  ['image/webp', (head) => latin(head, 0, 4) === 'RIFF' && latin(head, 8, 12) === 'WEBP'],
  ['image/avif', (head) => latin(head, 4, 12) === 'ftypavif'],
  ['image/bmp', (head) => latin(head, 0, 2) === 'BM' && head.length > 26],
];

/** Show a file in a card. What it takes is given back when `signal` says that the view is left. */
export async function showPreview(card, file, meta, signal) {
  const body = el('div.preview', el('p.muted', 'Reading…'));
  card.append(body);
  try {
    body.replaceChildren(...(await preview(new Source(file, meta, signal), body)));
  } catch (error) {
    if (!signal.aborted) body.replaceChildren(problemCard(error));
  }
}

/** The bytes of a file, as many as are wanted. */
class Source {
  constructor(file, meta, signal) {
    Object.assign(this, { ...file, meta, signal });
  }

  async head() {
    const headers = this.meta.size > HEAD_BYTES ? { Range: `bytes=0-${HEAD_BYTES - 1}` } : {};
    return new Uint8Array(await (await this.#read(headers)).arrayBuffer());
  }

  /** A URL of the whole, of this page only; `type` is what the browser takes it for. */
  async url(type) {
    const url = URL.createObjectURL(new Blob([await (await this.#read({})).arrayBuffer()], { type }));
    if (this.signal.aborted) URL.revokeObjectURL(url);
    else this.signal.addEventListener('abort', () => URL.revokeObjectURL(url));
    return url;
  }

  #read(headers) {
    return send(filePath(this.uid), { query: { created_at: this.createdAt }, headers, signal: this.signal });
  }
}

async function preview(source, body) {
  const { size, content_type: type } = source.meta;
  if (size === 0) return [empty('The file is empty.')];
  const medium = /^(audio|video)\//.exec(type)?.[1];
  if (medium && !hasCredentials())
    return [player(medium, urlOf(filePath(source.uid), { created_at: source.createdAt }).href)];
  if (medium) return whole(source, body, async () => [player(medium, await source.url(type))]);
  const head = await source.head();
  const image = IMAGES.find(([, matches]) => matches(head))?.[0];
  if (image) return whole(source, body, () => picture(source, image));
  if (latin(head, 0, 5) === '%PDF-') return whole(source, body, () => pages(source));
  const text = textOf(head, type, head.length < size);
  return text === null ? octets(head) : writing(text, head.length, source.meta);
}

/** What needs all of a large file waits until it is asked for. */
function whole(source, body, make) {
  const { size } = source.meta;
  if (size <= AUTO_BYTES) return make();
  if (size > LARGEST_BYTES) return [empty('Too large to show.', 'Download it to look at it.')];
  const place = el('div');
  const open = working(place, async () => body.replaceChildren(...(await make())));
  return [el('div.empty', button(`Show it (${bytes(size)})`, 'plain', open), place)];
}

async function picture(source, type) {
  const image = el('img', { alt: 'The picture in this file', src: await source.url(type) });
  image.addEventListener('error', () => image.replaceWith(empty('This picture is damaged, or not for browsers.')));
  return [image];
}

// Viewers of PDF do not run in a sandboxed frame. The type is that of the blob, so nothing makes a page of it.
const pages = async (source) => [
  el('iframe', { title: 'The pages of this PDF', src: await source.url('application/pdf') }),
];

/** A player asks for the ranges that it needs by itself; with credentials, which it cannot send, it gets all. */
function player(medium, src) {
  const node = el(medium, { controls: true, preload: 'metadata', src });
  node.addEventListener('error', () => node.replaceWith(empty('This browser cannot play it.', 'Download it.')));
  return node;
}

/** The text that bytes are, if they are one; the last character may be cut. */
function textOf(head, type, isCut) {
  const charset = /;\s*charset="?([\w-]+)/i.exec(type)?.[1] ?? 'utf-8';
  try {
    const text = new TextDecoder(charset, { fatal: true }).decode(head, { stream: isCut });
    return /[\x00-\x08\x0e-\x1a\x1c-\x1f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}

function writing(text, length, meta) {
  const isCut = length < meta.size;
  const pretty = isCut ? null : prettyJson(text);
  const isActive = /html|svg|xml/i.test(meta.content_type);
  return [
    isActive && el('p.note', 'Shown as its source: nothing in it runs here.'),
    isCut && el('p.note', `The first ${bytes(length)} of ${bytes(meta.size)}.`),
    pretty && el('p.note', 'Indented for reading; the download is as it was written.'),
    el('pre', { tabindex: '0', role: 'region', 'aria-label': 'Text of the file' }, pretty ?? text),
  ].filter(Boolean);
}

function octets(head) {
  const lines = [];
  for (let start = 0; start < Math.min(head.length, HEX_BYTES); start += 16) {
    const row = [...head.subarray(start, Math.min(start + 16, HEX_BYTES))];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const shown = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '·')).join('');
    lines.push(`${start.toString(16).padStart(4, '0')}  ${hex.padEnd(47)}  ${shown}`);
  }
  return [
    el('p.note', 'There is no preview of this kind of file. Its first bytes:'),
    el('pre', { tabindex: '0', role: 'region', 'aria-label': 'First bytes of the file' }, lines.join('\n')),
  ];
}
