// The ledger as files that other tools read.

/** @typedef {import('./ledger.js').Row} Row */

/** @type {[string, (row: Row) => string | number][]} */
const COLUMNS = [
  ['role', (row) => row.role],
  ['path', (row) => row.path],
  ['url', (row) => row.url],
  ['from', (row) => row.from],
  ['requests', (row) => row.requests.length],
  ['bytes', (row) => row.bytes],
  ['wire_bytes', (row) => row.wireBytes],
  ['decoded_bytes', (row) => row.decodedBytes],
  ['start_seconds', (row) => row.start.toFixed(6)],
  ['seconds', (row) => row.seconds.toFixed(6)],
];

/** @param {Row[]} rows @returns {string} RFC 4180, a line a file; numbers are the same in every language */
export function toCsv(rows) {
  const lines = [
    COLUMNS.map(([name]) => name),
    ...rows.map((row) => COLUMNS.map(([, value]) => quoted(String(value(row))))),
  ];
  return lines.map((line) => `${line.join(',')}\r\n`).join('');
}

/** @param {string} text */
function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const PAGE = 'page_1';

/** @type {Record<string, string>} */
const MEDIA_TYPES = {
  css: 'text/css',
  html: 'text/html',
  js: 'text/javascript',
  json: 'application/json',
  mjs: 'text/javascript',
  svg: 'image/svg+xml',
  wasm: 'application/wasm',
  woff2: 'font/woff2',
  zip: 'application/zip',
};

/**
 * HTTP Archive 1.2, an entry a request. Headers are no script's to read: those that the browser sent and
 * got are left out, and a size that is not known is -1, as the format has it.
 *
 * @param {Row[]} rows
 * @param {{title: string, origin: number}} page `origin`: when it began, in milliseconds since the epoch
 */
export function toHar(rows, { title, origin }) {
  const entries = rows
    .flatMap((row) => row.requests.map((request) => ({ row, request })))
    .sort((a, b) => a.request.start - b.request.start)
    .map(({ row, request }) => entry(row, request, origin));
  return {
    log: {
      version: '1.2',
      creator: { name: 'Peso Leve', version: '1' },
      pages: [{ id: PAGE, title, startedDateTime: date(origin), pageTimings: {} }],
      entries,
    },
  };
}

/** @param {Row} row @param {import('./ledger.js').Request} request @param {number} origin */
function entry(row, { from, bytes, start, seconds }, origin) {
  const time = 1000 * seconds;
  const query = [...new URL(row.url).searchParams].map(([name, value]) => ({ name, value }));
  const compression = row.decodedBytes - row.wireBytes;
  return {
    pageref: PAGE,
    startedDateTime: date(origin + 1000 * start),
    time,
    request: {
      method: 'GET',
      url: row.url,
      httpVersion: '',
      cookies: [],
      headers: [],
      queryString: query,
      headersSize: -1,
      bodySize: 0,
    },
    response: {
      status: 200,
      statusText: '',
      httpVersion: '',
      cookies: [],
      headers: [],
      content: {
        size: row.decodedBytes,
        ...(compression > 0 ? { compression } : {}),
        mimeType: MEDIA_TYPES[row.path.split('.').pop() ?? ''] ?? 'application/octet-stream',
      },
      redirectURL: '',
      headersSize: -1,
      bodySize: bytes,
      // Fields with an underscore are Chromium's, but for _role.
      ...(from === 'service_worker' ? { _fetchedViaServiceWorker: true } : {}),
    },
    cache: {},
    timings: { blocked: -1, dns: -1, connect: -1, ssl: -1, send: 0, wait: 0, receive: time },
    ...(from === 'disk' ? { _fromCache: 'disk' } : {}),
    _role: row.role,
  };
}

/** @param {number} milliseconds since the epoch */
function date(milliseconds) {
  return new Date(milliseconds).toISOString();
}
