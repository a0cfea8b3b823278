// Read the test vectors of the format and compare with their manifest: node check-vectors.mjs FOLDER
// Prints one JSON object: what was checked, and what failed. Ends with exit code 1 if anything failed.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Archive, BytesSource, FileSource } from './des-reader.mjs';
import { DesError } from './errors.mjs';

const sha256 = (data) => createHash('sha256').update(data).digest('hex');
const nameOf = (written) => (Array.isArray(written) ? written[0].repeat(written[1]) : written);
const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const counts = { vectors: 0, payloads: 0, refusals: 0, listings: 0, scans: 0 };

/** `action` succeeds if `code` is undefined, and is refused with it otherwise; returns what it returned. */
function expecting(code, action) {
  if (code === undefined) return action();
  counts.refusals++;
  try {
    action();
  } catch (error) {
    if (!(error instanceof DesError)) throw error;
    assert.equal(error.code, code, error.message);
    return undefined;
  }
  throw new assert.AssertionError({ message: `succeeded, expected ${code}` });
}

function checkPayloads(archive, vector) {
  for (const row of vector.entries) {
    const name = nameOf(row.name);
    if (name in (vector.refused_get ?? {})) continue;
    const payload = archive.get(name);
    assert.deepEqual([payload.length, sha256(payload)], [row.size, row.sha256], name.slice(0, 80));
    counts.payloads++;
    if (name in (vector.refused_meta ?? {})) continue;
    const expected = { name, size: row.size, external: row.external ?? false, meta: row.meta ?? {} };
    assert.deepEqual(archive.describe(name), expected);
  }
  for (const [name, code] of Object.entries(vector.refused_get ?? {})) expecting(code, () => archive.get(name));
  for (const [name, code] of Object.entries(vector.refused_meta ?? {})) expecting(code, () => archive.describe(name));
  for (const name of vector.absent ?? []) expecting('entry_not_found', () => archive.get(name));
}

function checkListing(archive, vector) {
  const names = (vector.listed ?? vector.entries.map((row) => row.name)).map(nameOf).sort(byBytes);
  const list = (prefix) => [...archive.list(prefix)].map((entry) => entry.name);
  expecting(vector.refused?.list, () => {
    assert.deepEqual(list(''), names);
    counts.listings++;
    for (const prefix of new Set(names.slice(0, 40).flatMap((name) => [[...name][0], name.slice(0, 3), name]))) {
      if (!prefix.isWellFormed?.() && /[\ud800-\udbff]$/.test(prefix)) continue;
      assert.deepEqual(list(prefix), names.filter((name) => name.startsWith(prefix)), prefix);
      counts.listings++;
    }
  });
}

function checkScan(archive, vector) {
  const expected = vector.entries.map((row) => [nameOf(row.name), row.size, row.external ? null : row.sha256]);
  const found = [];
  expecting(vector.refused?.scan, () => {
    for (const { name, size, payload } of archive.scan()) found.push([name, size, payload && sha256(payload)]);
    assert.equal(found.length, expected.length);
    counts.scans++;
  });
  assert.deepEqual(found, expected.slice(0, found.length));
}

function check(vector, source) {
  const refusedOpening = vector.refused?.open ?? vector.refused?.open_local;
  const archive = expecting(refusedOpening, () => Archive.open(source));
  if (!archive) return;
  checkPayloads(archive, vector);
  checkListing(archive, vector);
  checkScan(archive, vector);
}

const folder = process.argv[2];
const { vectors } = JSON.parse(fs.readFileSync(path.join(folder, 'manifest.json'), 'utf8'));
const failures = [];
for (const vector of vectors) {
  const file = path.join(folder, vector.file);
  const ways = { file: () => new FileSource(file) };
  const outside = vector.beside || vector.journal_sha256 || Object.values(vector.refused_get ?? {}).includes('big_file_missing');
  if (!outside) ways.bytes = () => new BytesSource(fs.readFileSync(file));
  for (const [way, open] of Object.entries(ways)) {
    const source = open();
    try {
      check(vector, source);
    } catch (error) {
      failures.push(`${vector.file} (${way}): ${error.stack}`);
    } finally {
      source.close();
    }
  }
  counts.vectors++;
}
console.log(JSON.stringify({ ...counts, failures }, null, 1));
process.exitCode = failures.length ? 1 : 0;
