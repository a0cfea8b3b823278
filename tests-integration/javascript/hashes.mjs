// XXH3 (64 bits, with seed) and XXH32, from the description of their algorithms.

const MASK = (1n << 64n) - 1n;
const [P32_1, P32_2, P32_3] = [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn];
const P64_1 = 0x9e3779b185ebca87n;
const P64_2 = 0xc2b2ae3d27d4eb4fn;
const P64_3 = 0x165667b19e3779f9n;
const P64_4 = 0x85ebca77c2b2ae63n;
const P64_5 = 0x27d4eb2f165667c5n;
const MIX_1 = 0x165667919e3779f9n;
const MIX_2 = 0x9fb21c651e98df25n;
const SECRET = Buffer.from(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221' +
    'b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8' +
    'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb' +
    '170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  'hex',
);

const read64 = (data, at) => data.readBigUInt64LE(at);
const read32 = (data, at) => BigInt(data.readUInt32LE(at));
const rotl = (value, bits) => ((value << bits) | (value >> (64n - bits))) & MASK;
const swap = (value, bytes) => BigInt('0x' + value.toString(16).padStart(2 * bytes, '0').match(/../g).reverse().join(''));

function fold(a, b) {
  const product = (a & MASK) * (b & MASK);
  return (product & MASK) ^ (product >> 64n);
}

function avalanche(hash) {
  hash &= MASK;
  hash = ((hash ^ (hash >> 37n)) * MIX_1) & MASK;
  return hash ^ (hash >> 32n);
}

function avalancheOf64(hash) {
  hash = ((hash ^ (hash >> 33n)) * P64_2) & MASK;
  hash = ((hash ^ (hash >> 29n)) * P64_3) & MASK;
  return hash ^ (hash >> 32n);
}

function short(data, seed) {
  const size = data.length;
  if (size === 0) return avalancheOf64(seed ^ read64(SECRET, 56) ^ read64(SECRET, 64));
  if (size <= 3) {
    const combined = ((data[0] << 16) | (data[size >> 1] << 24) | data[size - 1] | (size << 8)) >>> 0;
    return avalancheOf64(BigInt(combined) ^ (((read32(SECRET, 0) ^ read32(SECRET, 4)) + seed) & MASK));
  }
  if (size <= 8) {
    seed ^= swap(seed & 0xffffffffn, 4) << 32n;
    const flip = (read64(SECRET, 8) ^ read64(SECRET, 16)) - seed;
    let hash = (read32(data, size - 4) + (read32(data, 0) << 32n)) ^ (flip & MASK);
    hash ^= rotl(hash, 49n) ^ rotl(hash, 24n);
    hash = (hash * MIX_2) & MASK;
    hash ^= (hash >> 35n) + BigInt(size);
    hash = (hash * MIX_2) & MASK;
    return hash ^ (hash >> 28n);
  }
  const low = read64(data, 0) ^ (((read64(SECRET, 24) ^ read64(SECRET, 32)) + seed) & MASK);
  const high = read64(data, size - 8) ^ (((read64(SECRET, 40) ^ read64(SECRET, 48)) - seed) & MASK);
  return avalanche(BigInt(size) + swap(low, 8) + high + fold(low, high));
}

function middle(data, seed) {
  const size = data.length;
  const mix = (at, secret) =>
    fold(
      read64(data, at) ^ ((read64(SECRET, secret) + seed) & MASK),
      read64(data, at + 8) ^ ((read64(SECRET, secret + 8) - seed) & MASK),
    );
  let sum = BigInt(size) * P64_1;
  if (size <= 128) {
    for (let i = (size - 1) >> 5; i >= 0; i--) sum += mix(16 * i, 32 * i) + mix(size - 16 * (i + 1), 32 * i + 16);
    return avalanche(sum);
  }
  for (let i = 0; i < 8; i++) sum += mix(16 * i, 16 * i);
  sum = avalanche(sum);
  for (let i = 8; i < size >> 4; i++) sum += mix(16 * i, 16 * (i - 8) + 3);
  return avalanche(sum + mix(size - 16, 136 - 17));
}

function long(data, seed) {
  const secret = Buffer.from(SECRET);
  for (let at = 0; seed && at < 192; at += 16) {
    secret.writeBigUInt64LE((read64(SECRET, at) + seed) & MASK, at);
    secret.writeBigUInt64LE((read64(SECRET, at + 8) - seed) & MASK, at + 8);
  }
  const lanes = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1];
  const accumulate = (at, key) => {
    for (let i = 0; i < 8; i++) {
      const value = read64(data, at + 8 * i);
      const keyed = value ^ read64(secret, key + 8 * i);
      lanes[i ^ 1] = (lanes[i ^ 1] + value) & MASK;
      lanes[i] = (lanes[i] + (keyed & 0xffffffffn) * (keyed >> 32n)) & MASK;
    }
  };
  const size = data.length;
  const stripes = (size - 1) >> 6;
  for (let stripe = 0; stripe < stripes; stripe++) {
    accumulate(64 * stripe, 8 * (stripe & 15));
    if ((stripe & 15) === 15) {
      for (let i = 0; i < 8; i++) lanes[i] = ((lanes[i] ^ (lanes[i] >> 47n) ^ read64(secret, 128 + 8 * i)) * P32_1) & MASK;
    }
  }
  accumulate(size - 64, 192 - 64 - 7);
  let sum = BigInt(size) * P64_1;
  for (let i = 0; i < 8; i += 2) {
    sum += fold(lanes[i] ^ read64(secret, 11 + 8 * i), lanes[i + 1] ^ read64(secret, 19 + 8 * i));
  }
  return avalanche(sum);
}

/** XXH3 with 64 bits of result, as a BigInt. */
export function h64(data, seed = 0n) {
  if (data.length <= 16) return short(data, seed);
  return data.length <= 240 ? middle(data, seed) : long(data, seed);
}

/** The low 32 bits of `h64`, as a number. */
export const h32 = (data, seed = 0n) => Number(h64(data, seed) & 0xffffffffn);

/** XXH32 with seed 0, which LZ4 frames use, as a number. */
export function xxh32(data) {
  const [p1, p2, p3, p4, p5] = [2654435761, 2246822519, 3266489917, 668265263, 374761393];
  const turn = (value, bits) => (value << bits) | (value >>> (32 - bits));
  let at = 0;
  let hash = p5;
  if (data.length >= 16) {
    const lanes = [(p1 + p2) | 0, p2 | 0, 0, -p1 | 0];
    for (; at + 16 <= data.length; at += 16) {
      for (let i = 0; i < 4; i++) {
        lanes[i] = Math.imul(turn((lanes[i] + Math.imul(data.readInt32LE(at + 4 * i), p2)) | 0, 13), p1);
      }
    }
    hash = turn(lanes[0], 1) + turn(lanes[1], 7) + turn(lanes[2], 12) + turn(lanes[3], 18);
  }
  hash = (hash + data.length) | 0;
  for (; at + 4 <= data.length; at += 4) hash = Math.imul(turn((hash + Math.imul(data.readInt32LE(at), p3)) | 0, 17), p4);
  for (; at < data.length; at++) hash = Math.imul(turn((hash + Math.imul(data[at], p5)) | 0, 11), p1);
  hash = Math.imul(hash ^ (hash >>> 15), p2);
  hash = Math.imul(hash ^ (hash >>> 13), p3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
