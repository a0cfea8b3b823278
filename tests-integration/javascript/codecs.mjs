// Payload codecs: one zstd frame, or one LZ4 frame, that expands to exactly the promised length.

import { createRequire } from 'node:module';
import { xxh32 } from './hashes.mjs';
import { corrupt } from './errors.mjs';

const zstd = createRequire(import.meta.url)('@bokuweb/zstd-wasm');
await zstd.init();

/** Length of the single frame that `data` begins with, and its content size; nothing is expanded. */
function zstdFrame(data, where) {
  if (data.length < 6 || data.readUInt32LE(0) !== 0xfd2fb528) corrupt(`${where}: no zstd frame`);
  const descriptor = data[4];
  const single = (descriptor >> 5) & 1;
  let at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3];
  const sizeBytes = [single, 2, 4, 8][descriptor >> 6];
  if (sizeBytes === 0) corrupt(`${where}: the zstd frame does not say its content size`);
  if (at + sizeBytes > data.length) corrupt(`${where}: the zstd frame is cut off`);
  const stored = sizeBytes === 8 ? Number(data.readBigUInt64LE(at)) : data.readUIntLE(at, sizeBytes);
  const size = stored + (sizeBytes === 2 ? 256 : 0);
  at += sizeBytes;
  for (let last = 0; !last; ) {
    if (at + 3 > data.length) corrupt(`${where}: the zstd frame is cut off`);
    const header = data.readUIntLE(at, 3);
    last = header & 1;
    at += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3);
  }
  return { length: at + (descriptor & 4 ? 4 : 0), size };
}

export function expandZstd(data, rawLength, where, dictionary = null) {
  const frame = zstdFrame(data, where);
  if (frame.size !== rawLength) corrupt(`${where}: a zstd frame of ${frame.size} bytes, expected ${rawLength}`);
  if (frame.length !== data.length) corrupt(`${where}: the zstd frame has ${frame.length} of ${data.length} bytes`);
  let raw;
  try {
    if (dictionary) {
      const context = zstd.createDCtx();
      try {
        raw = zstd.decompressUsingDict(context, data, dictionary);
      } finally {
        zstd.freeDCtx(context);
      }
    } else {
      raw = zstd.decompress(data);
    }
  } catch (error) {
    corrupt(`${where}: ${error.message}`);
  }
  if (raw.length !== rawLength) corrupt(`${where}: expands to ${raw.length} bytes, expected ${rawLength}`);
  return Buffer.from(raw);
}

/** Expand one LZ4 block behind what was expanded before; returns the new end of the output. */
function lz4Block(block, output, end, earliest, where) {
  let at = 0;
  const lengthOf = (nibble) => {
    let length = nibble;
    for (let more = 255; nibble === 15 && more === 255; length += more) {
      more = at < block.length ? block[at++] : corrupt(`${where}: the LZ4 block is cut off`);
    }
    return length;
  };
  while (at < block.length) {
    const token = block[at++];
    const literals = lengthOf(token >> 4);
    if (at + literals > block.length || end + literals > output.length) corrupt(`${where}: LZ4 literals over the end`);
    block.copy(output, end, at, at + literals);
    at += literals;
    end += literals;
    if (at === block.length) break;
    if (at + 2 > block.length) corrupt(`${where}: the LZ4 block is cut off`);
    const distance = block.readUInt16LE(at);
    at += 2;
    const match = lengthOf(token & 15) + 4;
    if (distance === 0 || end - distance < earliest || end + match > output.length) {
      corrupt(`${where}: an LZ4 match over the end`);
    }
    for (let i = 0; i < match; i++, end++) output[end] = output[end - distance];
  }
  return end;
}

export function expandLz4(data, rawLength, where) {
  if (data.length < 15 || data.readUInt32LE(0) !== 0x184d2204) corrupt(`${where}: no LZ4 frame`);
  const flags = data[4];
  if (flags >> 6 !== 1 || flags & 3) corrupt(`${where}: an LZ4 frame of unknown version, or with a dictionary`);
  if (!(flags & 8)) corrupt(`${where}: the LZ4 frame does not say its content size`);
  if (((xxh32(data.subarray(4, 14)) >> 8) & 255) !== data[14]) corrupt(`${where}: LZ4 header checksum`);
  const promised = Number(data.readBigUInt64LE(6));
  if (promised !== rawLength) corrupt(`${where}: an LZ4 frame of ${promised} bytes, expected ${rawLength}`);
  if (rawLength > 255 * data.length) corrupt(`${where}: ${data.length} bytes of LZ4 cannot expand to ${rawLength}`);
  const output = Buffer.alloc(rawLength);
  const take = (size) => {
    if (at + size > data.length) corrupt(`${where}: the LZ4 frame is cut off`);
    at += size;
    return data.subarray(at - size, at);
  };
  const check = (bytes) => take(4).readUInt32LE(0) === xxh32(bytes) || corrupt(`${where}: LZ4 checksum`);
  let at = 15;
  let end = 0;
  for (let size; (size = take(4).readUInt32LE(0)) !== 0; ) {
    const block = take(size & 0x7fffffff);
    if (flags & 16) check(block);
    if (size >>> 31) {
      if (end + block.length > rawLength) corrupt(`${where}: expands beyond ${rawLength} bytes`);
      end += block.copy(output, end);
    } else {
      end = lz4Block(block, output, end, flags & 32 ? end : 0, where);
    }
  }
  if (flags & 4) check(output.subarray(0, end));
  if (end !== rawLength || at !== data.length) {
    corrupt(`${where}: ${end} bytes from ${at}, expected ${rawLength} from ${data.length}`);
  }
  return output;
}
