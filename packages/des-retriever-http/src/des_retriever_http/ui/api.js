// Requests to the service, credentials, and the problems that it answers with.

const KEPT = 'des-credentials';
const HEADERS = { key: (secret) => ['X-API-Key', secret], bearer: (secret) => ['Authorization', `Bearer ${secret}`] };

// The service, wherever a proxy has put it: this page is its `ui/`.
const base = new URL('../', document.baseURI);

let credentials = kept() ?? { kind: 'none', secret: '' };

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null; // a browser may refuse to store anything
  }
}

export const currentCredentials = () => credentials;
export const hasCredentials = () => credentials.kind !== 'none';

/** Send these from now on; they stay in memory, or with `keep` in the storage of this tab. */
export function useCredentials({ kind, secret, keep }) {
  credentials = { kind, secret: kind === 'none' ? '' : secret, keep };
  try {
    sessionStorage.removeItem(KEPT);
    if (keep && hasCredentials()) sessionStorage.setItem(KEPT, JSON.stringify(credentials));
  } catch {
    credentials.keep = false;
  }
}

/** An answer that is an error, as RFC 9457 describes it. */
export class Problem extends Error {
  constructor({ title, detail, status, code, request_id: requestId, retryAfter }) {
    super(detail ?? title);
    Object.assign(this, { title, detail, status, code, requestId, retryAfter });
  }
}

/** The URL of something of the service. */
export const urlOf = (path, query = {}) => {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  return url;
};

/** The path of a file, or of something about it. */
export function filePath(uid, sub = '') {
  if (uid === '.' || uid === '..') {
    throw new Problem({
      title: 'A browser cannot ask for this uid',
      detail: `Browsers drop “${uid}” from every path. Read it with the Python library or the command des store get.`,
      code: 'unaskable_uid',
    });
  }
  if (!uid.isWellFormed()) {
    throw new Problem({ title: 'This is not a uid', detail: 'It is no valid Unicode text.', code: 'invalid_name' });
  }
  return `files/${encodeURIComponent(uid)}${sub}`;
}

/** Send a request; the response is one that succeeded. `no-store` makes the service look for deletions at once. */
export async function send(path, { query, headers = {}, ...options } = {}) {
  const sent = new Headers(headers);
  if (hasCredentials()) sent.set(...HEADERS[credentials.kind](credentials.secret));
  let response;
  try {
    const usual = { cache: 'no-store', credentials: 'omit', redirect: 'error' };
    response = await fetch(urlOf(path, query), { ...usual, ...options, headers: sent });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    const title = 'The service does not answer';
    throw new Problem({ title, detail: 'Is it running, and is this machine online?', code: 'unreachable' });
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

export const ask = async (path, options) => (await send(path, options)).json();

async function problemOf(response) {
  const [request_id, retryAfter] = ['X-Request-ID', 'Retry-After'].map((name) => response.headers.get(name));
  const known = { status: response.status, request_id, retryAfter: Number(retryAfter) };
  const problem = await response.json().catch(() => ({}));
  return new Problem({ title: `The service answered ${response.status}`, ...known, ...problem });
}
