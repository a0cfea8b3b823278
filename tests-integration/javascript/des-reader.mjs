// A reader of the DES archive format, version 3, written from docs/format.md alone.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { expandLz4, expandZstd } from './codecs.mjs';
import { DesError, corrupt, mismatch, refuse } from './errors.mjs';
import { h32, h64 } from './hashes.mjs';

const HEADER_SIZE = 32;
const FOOTER_SIZE = 200;
const BLOCK = 4096;
const SLOTS = 255;
const HEAD = 36;
const TAIL = 65536;
const MAX_METADATA = 16777216;
const MAX_META_CONTENT = 16908351;
const MAX_CHAIN = 4;
const NO_META = Object.freeze({});

// Beyond 2^53 a number is rounded, but it stays larger than the size of any file, which is all that a check needs.
const u64 = (data, at) => Number(data.readBigUInt64LE(at));
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A local file as a source of ranges; the append journal beside it is honoured. */
export class FileSource {
  constructor(file) {
    this.folder = path.dirname(file);
    this.handle = fs.openSync(file, 'r');
    this.size = fs.fstatSync(this.handle).size;
    this.isLocal = true;
    const committed = this.committedSize(`${file}.append`);
    if (committed !== null) this.size = committed;
  }

  committedSize(journal) {
    if (!fs.existsSync(journal)) return null;
    const footer = fs.readFileSync(journal);
    try {
      const { archiveSize } = decodeFooter(footer, footer.length === FOOTER_SIZE ? u64(footer, 16) : 0);
      return archiveSize <= this.size && this.read(archiveSize - FOOTER_SIZE, archiveSize).equals(footer) ? archiveSize : null;
    } catch (error) {
      if (error instanceof DesError) return null;
      throw error;
    }
  }

  read(start, end) {
    const data = Buffer.alloc(Math.max(0, Math.min(end, this.size) - start));
    return data.subarray(0, fs.readSync(this.handle, data, 0, data.length, start));
  }

  /** The first `size` bytes of an object beside the archive; fewer if it is shorter. */
  beside(key, size) {
    const file = path.join(this.folder, key);
    if (!fs.existsSync(file)) refuse('big_file_missing', `${key} is missing`);
    return fs.readFileSync(file).subarray(0, size);
  }

  close() {
    fs.closeSync(this.handle);
  }
}

/** An archive in memory; it has no folder, so no big files and no journal. */
export class BytesSource {
  constructor(data) {
    this.data = data;
    this.size = data.length;
    this.isLocal = true;
  }

  read(start, end) {
    return this.data.subarray(start, Math.max(start, Math.min(end, this.size)));
  }

  beside(key) {
    refuse('big_file_missing', `${key} lies beside an archive, but this one is only in memory`);
  }

  close() {}
}

function checkHeader(data) {
  if (data.length < HEADER_SIZE) corrupt(`header: ${data.length} bytes`);
  if (data.toString('latin1', 0, 8) !== 'DESHEAD3') refuse('unsupported_format', 'header: another magic');
  if (h64(data.subarray(0, 24)) !== data.readBigUInt64LE(24)) mismatch('header: checksum');
  if (data.readUInt16LE(10)) refuse('unsupported_format', 'header: unknown required features');
}

function decodeFooter(data, archiveSize) {
  const start = archiveSize - FOOTER_SIZE;
  if (data.length < FOOTER_SIZE || start < HEADER_SIZE) corrupt(`${archiveSize} bytes are no archive`);
  data = data.subarray(data.length - FOOTER_SIZE);
  if (data.toString('latin1', 0, 8) !== 'DESFOOT3') corrupt(`no footer at ${start}`);
  if (h64(data.subarray(0, 192)) !== data.readBigUInt64LE(192)) mismatch(`footer at ${start}: checksum`);
  if (data.readUInt16LE(10)) refuse('unsupported_format', `footer at ${start}: unknown required features`);
  const names =
    'archiveSize dataStart dataLength metaStart metaLength directoryLength indexStart blockCount hashSeed entryCount' +
    ' rawBytes storedBytes externalCount externalBytes dictionaryStart dictionaryLength previousFooter';
  const footer = Object.fromEntries(names.split(' ').map((name, i) => [name, u64(data, 16 + 8 * i)]));
  footer.hashSeed = data.readBigUInt64LE(80);
  footer.directoryChecksum = data.readBigUInt64LE(152);
  footer.directoryStart = footer.metaStart + footer.metaLength;
  const f = footer;
  const rules = {
    'archive size': f.archiveSize === archiveSize,
    'DATA start': f.dataStart >= HEADER_SIZE,
    'META start': f.dataStart + f.dataLength === f.metaStart,
    'INDEX start': f.directoryStart + f.directoryLength <= f.indexStart && f.indexStart % 64 === 0,
    'INDEX end': f.indexStart + BLOCK * f.blockCount === start,
    'entry count': f.entryCount <= SLOTS * f.blockCount,
    externals: f.externalCount <= f.entryCount && f.externalBytes <= f.rawBytes,
    dictionary: f.dictionaryStart + f.dictionaryLength <= f.metaStart,
    'previous footer': f.previousFooter === (f.dataStart === HEADER_SIZE ? 0 : f.dataStart - FOOTER_SIZE),
  };
  for (const [rule, holds] of Object.entries(rules)) if (!holds) corrupt(`footer at ${start}: ${rule}`);
  return footer;
}

/** Decode and check a record; `data` begins at `offset` and holds at least head, name and metadata. */
function decodeRecord(data, offset) {
  const where = `record at ${offset}`;
  if (data.length < HEAD || data.toString('latin1', 0, 4) !== 'DESE') corrupt(`${where}: no magic`);
  const [nameLength, metaLength, storedLength] = [data.readUInt16LE(10), data.readUInt32LE(12), data.readUInt32LE(16)];
  const payloadAt = HEAD + nameLength + metaLength;
  if (metaLength > MAX_METADATA || payloadAt > data.length) corrupt(`${where}: metadata of ${metaLength} bytes`);
  if (h32(data.subarray(8, payloadAt), BigInt(offset)) !== data.readUInt32LE(4)) mismatch(`${where}: head checksum`);
  const record = {
    where,
    offset,
    kind: data[8],
    codec: data[9],
    name: data.subarray(HEAD, HEAD + nameLength),
    meta: data.subarray(HEAD + nameLength, payloadAt),
    storedLength,
    payloadChecksum: data.readUInt32LE(20),
    rawLength: u64(data, 24),
    dictionary: data.readUInt32LE(32),
    payloadAt,
    length: payloadAt + storedLength,
  };
  if (record.kind > 2 || record.codec > 2) refuse('unsupported_format', `${where}: kind ${record.kind}, codec ${record.codec}`);
  if (record.length > 2 ** 32 - 1) corrupt(`${where}: ${record.length} bytes`);
  if (record.kind === 1 ? record.codec !== 0 || storedLength !== 32 : record.codec === 0 && storedLength !== record.rawLength) {
    corrupt(`${where}: stores ${storedLength} bytes for ${record.rawLength}`);
  }
  if (record.dictionary && record.codec !== 1 && record.kind !== 2) corrupt(`${where}: a dictionary for no zstd frame`);
  return record;
}

function storedOf(record, data) {
  const stored = data.subarray(record.payloadAt, record.length);
  if (stored.length !== record.storedLength) corrupt(`${record.where}: payload cut off`);
  if (h32(stored) !== record.payloadChecksum) mismatch(`${record.where}: payload checksum`);
  return stored;
}

function decodeName(bytes) {
  try {
    if (bytes.length && !bytes.includes(0)) return utf8.decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  return corrupt(`a name that is empty, not UTF-8 or holds NUL: ${bytes.toString('hex', 0, 40)}`);
}

function decodeMetadata(bytes) {
  if (!bytes.length) return NO_META;
  let meta;
  try {
    meta = JSON.parse(utf8.decode(bytes));
  } catch (error) {
    corrupt(`metadata: ${error.message}`);
  }
  return meta !== null && typeof meta === 'object' && !Array.isArray(meta) ? meta : corrupt('metadata is no object');
}

/** The rows of one META block. */
function decodeMetaBlock(stored, row) {
  if (h64(stored) !== row.checksum) mismatch(`META block at ${row.start}: checksum`);
  const where = `META block at ${row.start}`;
  const raw = expandZstd(stored, row.rawLength, where);
  const count = raw.length >= 4 ? raw.readUInt32LE(0) : -1;
  if (count !== row.count || 4 + 30 * count > raw.length) corrupt(`${where}: ${count} rows, expected ${row.count}`);
  let at = 4;
  const column = (width) => {
    const values = new Array(count).fill(0);
    for (let plane = 0; plane < width; plane++) for (let i = 0; i < count; i++) values[i] += raw[at++] * 256 ** plane;
    return values;
  };
  const [shared, fresh, metaLengths, kinds, codecs, lengths, rawLengths, offsets] = [2, 2, 4, 1, 1, 4, 8, 8].map(column);
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  let metaAt = at + sum(fresh);
  if (metaAt + sum(metaLengths) !== raw.length) corrupt(`${where}: its parts do not fill it`);
  if (sum(shared) + sum(fresh) + sum(metaLengths) > MAX_META_CONTENT) corrupt(`${where}: its names expand without end`);
  let name = Buffer.alloc(0);
  return shared.map((common, i) => {
    if (common > name.length) corrupt(`${where}: row ${i} shares ${common} bytes of ${name.length}`);
    name = Buffer.concat([name.subarray(0, common), raw.subarray(at, (at += fresh[i]))]);
    const meta = raw.subarray(metaAt, (metaAt += metaLengths[i]));
    return { name, meta, kind: kinds[i], codec: codecs[i], length: lengths[i], size: rawLengths[i], offset: offsets[i] };
  });
}

function entryOfRow(row) {
  const name = decodeName(row.name);
  if (row.kind > 1 || row.codec > 2) corrupt(`META row of ${name}: kind ${row.kind}, codec ${row.codec}`);
  if (row.length < HEAD + row.name.length + row.meta.length) corrupt(`META row of ${name}: length ${row.length}`);
  return { name, size: row.size, external: row.kind === 1, meta: decodeMetadata(row.meta) };
}

export class Archive {
  constructor(source, footer) {
    this.source = source;
    this.footer = footer;
    this.blocks = new Map();
    this.dictionary = undefined;
  }

  static open(source) {
    const tail = source.read(Math.max(0, source.size - TAIL), source.size);
    if (tail.toString('latin1', tail.length - FOOTER_SIZE, tail.length - FOOTER_SIZE + 8) !== 'DESFOOT3') {
      const begins = source.read(0, 8).toString('latin1');
      refuse(begins === 'DESHEAD3' ? 'corrupt_archive' : 'unsupported_format', `no footer; it begins with ${begins}`);
    }
    const footer = decodeFooter(tail, source.size);
    if (source.isLocal) checkHeader(source.read(0, HEADER_SIZE));
    return new Archive(source, footer);
  }

  fetch(start, end) {
    const data = this.source.read(start, end);
    return data.length === end - start ? data : corrupt(`${data.length} bytes at ${start}, expected ${end - start}`);
  }

  block(number) {
    let block = this.blocks.get(number);
    if (!block) {
      const start = this.footer.indexStart + BLOCK * number;
      block = this.fetch(start, start + BLOCK);
      if (h64(block.subarray(0, 4088)) !== block.readBigUInt64LE(4088)) mismatch(`INDEX block at ${start}: checksum`);
      this.blocks.set(number, block);
    }
    return block;
  }

  /** The places where the record of a name may lie. */
  *candidates(name) {
    const { blockCount, hashSeed, metaStart } = this.footer;
    const hash = h64(name, hashSeed);
    const tag = Number((hash >> 8n) & 0xffffffffn) || 1;
    const first = Number(hash & 255n) % SLOTS;
    let number = Number(((hash >> 32n) * BigInt(blockCount)) >> 32n);
    for (let visited = 0; visited < Math.min(MAX_CHAIN, blockCount); visited++) {
      const block = this.block(number);
      for (let probe = 0; probe < SLOTS; probe++) {
        const at = 16 * ((first + probe) % SLOTS);
        const found = block.readUInt32LE(at + 8);
        if (found === 0) return;
        if (found !== tag) continue;
        const [offset, length] = [u64(block, at), block.readUInt32LE(at + 12)];
        if (offset < HEADER_SIZE || length < HEAD || offset + length > metaStart) corrupt(`slot ${at / 16} leads to ${offset}`);
        yield { offset, length };
      }
      if (!(block[4080] & 1)) return;
      number = (number + 1) % blockCount;
    }
  }

  /** The record of a name, and its bytes; null if there is none. */
  find(name) {
    const wanted = Buffer.from(name, 'utf8');
    for (const { offset, length } of this.candidates(wanted)) {
      const data = this.fetch(offset, offset + length);
      const record = decodeRecord(data, offset);
      if (record.length !== length) corrupt(`${record.where}: ${record.length} bytes, the INDEX says ${length}`);
      if (record.kind !== 2 && record.name.equals(wanted)) return { record, data };
    }
    return null;
  }

  theDictionary() {
    const { dictionaryStart: start, dictionaryLength: length } = this.footer;
    if (this.dictionary !== undefined || !length) return this.dictionary ?? null;
    const data = this.fetch(start, start + length);
    const record = decodeRecord(data, start);
    if (record.kind !== 2 || record.codec !== 0 || record.length !== length) corrupt(`${record.where}: no dictionary`);
    const stored = storedOf(record, data);
    if (stored.length < 8 || stored.readUInt32LE(0) !== 0xec30a437 || !stored.readUInt32LE(4)) corrupt(`${record.where}: no dictionary`);
    this.dictionary = { id: stored.readUInt32LE(4), data: stored };
    return this.dictionary;
  }

  expand(record, stored) {
    if (record.codec === 0) return stored;
    if (record.codec === 2) return expandLz4(stored, record.rawLength, record.where);
    if (!record.dictionary) return expandZstd(stored, record.rawLength, record.where);
    const dictionary = this.theDictionary();
    if (dictionary?.id !== record.dictionary) corrupt(`${record.where}: needs dictionary ${record.dictionary}`);
    return expandZstd(stored, record.rawLength, record.where, dictionary.data);
  }

  /** The payload of a name. */
  get(name) {
    const found = this.find(name) ?? refuse('entry_not_found', `no entry ${name}`);
    const stored = storedOf(found.record, found.data);
    return found.record.kind === 1 ? this.external(found.record, stored) : this.expand(found.record, stored);
  }

  external(record, hash) {
    const key = `_bigFiles/${hash.toString('hex')}`;
    const payload = this.source.beside(key, record.rawLength);
    if (payload.length !== record.rawLength) corrupt(`${key}: ${payload.length} bytes, expected ${record.rawLength}`);
    if (!createHash('sha256').update(payload).digest().equals(hash)) mismatch(`${key}: SHA-256`);
    return payload;
  }

  /** Size, kind and metadata of a name. */
  describe(name) {
    const { record } = this.find(name) ?? refuse('entry_not_found', `no entry ${name}`);
    return { name, size: record.rawLength, external: record.kind === 1, meta: decodeMetadata(record.meta) };
  }

  directory() {
    const { directoryStart: start, directoryLength, directoryChecksum, metaStart } = this.footer;
    const data = this.fetch(start, start + directoryLength);
    const where = `META directory at ${start}`;
    if (h64(data) !== directoryChecksum) mismatch(`${where}: checksum`);
    if (data.length < 4) corrupt(`${where}: ${data.length} bytes`);
    const rows = [];
    let [at, position] = [4, metaStart];
    for (let left = data.readUInt32LE(0); left > 0; left--) {
      if (at + 22 > data.length) corrupt(`${where}: cut off`);
      const row = { start: position, end: (position += data.readUInt32LE(at)), rawLength: data.readUInt32LE(at + 4) };
      if (row.rawLength > MAX_META_CONTENT) corrupt(`${where}: a block of ${row.rawLength} bytes`);
      const firstName = data.subarray(at + 22, at + 22 + data.readUInt16LE(at + 12));
      rows.push({ ...row, count: data.readUInt32LE(at + 8), checksum: data.readBigUInt64LE(at + 14), firstName });
      at += 22 + data.readUInt16LE(at + 12);
    }
    if (at !== data.length || position !== start) corrupt(`${where}: its rows do not fill it, or META`);
    return rows;
  }

  /** Entries whose names begin with a prefix, in the order of the bytes of their names. */
  *list(prefix = '') {
    const wanted = Buffer.from(prefix, 'utf8');
    const rows = this.directory();
    for (const [i, row] of rows.entries()) {
      const next = rows[i + 1]?.firstName;
      if (next && Buffer.compare(next, wanted) < 0) continue;
      if (Buffer.compare(row.firstName, wanted) > 0 && !row.firstName.subarray(0, wanted.length).equals(wanted)) break;
      for (const found of decodeMetaBlock(this.fetch(row.start, row.end), row)) {
        if (found.name.subarray(0, wanted.length).equals(wanted)) yield entryOfRow(found);
      }
    }
  }

  segments() {
    const chain = [this.footer];
    while (chain[0].previousFooter) {
      const start = chain[0].previousFooter;
      chain.unshift(decodeFooter(this.fetch(start, start + FOOTER_SIZE), start + FOOTER_SIZE));
    }
    return chain.map(({ dataStart, metaStart }) => [dataStart, metaStart]);
  }

  /** Every entry with its payload, null for external ones, in the order in which they were added. */
  *scan() {
    const segments = this.segments();
    this.theDictionary();
    for (let [at, end] of segments) {
      while (at < end) {
        const head = this.fetch(at, Math.min(at + HEAD, end));
        const length = head.length === HEAD ? HEAD + head.readUInt16LE(10) + head.readUInt32LE(12) + head.readUInt32LE(16) : Infinity;
        if (at + length > end) corrupt(`DATA ends at ${end}, in the middle of the record at ${at}`);
        const data = this.fetch(at, at + length);
        const record = decodeRecord(data, at);
        const stored = storedOf(record, data);
        if (record.kind !== 2) {
          const payload = record.kind === 1 ? null : this.expand(record, stored);
          yield { name: decodeName(record.name), size: record.rawLength, meta: decodeMetadata(record.meta), payload };
        }
        at += length;
      }
    }
  }
}
