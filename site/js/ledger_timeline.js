// The ledger's time axis. Between what a page fetches and a click minutes may pass in which nothing comes:
// such a gap is drawn short and named, so that what does come can be seen.

/**
 * @typedef {{start: number, seconds: number}} Span
 * @typedef {{at: number, width: number, seconds: number}} Gap  where it is drawn, and what it lasted
 * @typedef {{place: (span: Span) => {at: number, width: number}, gaps: Gap[], end: number}} Timeline
 *   `at` and `width` are parts of 1; `end` in seconds
 */

/** A silence longer than this many seconds is a gap... */
const LONGEST = 1;
/** ...and is drawn as this part of what is not silent. */
const DRAWN = 0.04;

/** @param {Span[]} spans @returns {Timeline} */
export function timeline(spans) {
  /** @type {{from: number, to: number}[]} what is drawn to scale */
  const busy = [];
  for (const { start, seconds } of spans.toSorted((a, b) => a.start - b.start)) {
    const last = busy.at(-1);
    if (last !== undefined && start - last.to <= LONGEST)
      last.to = Math.max(last.to, start + seconds);
    else busy.push({ from: start, to: start + seconds });
  }
  const scaled = busy.reduce((sum, { from, to }) => sum + to - from, 0) || 1;
  const whole = scaled * (1 + DRAWN * Math.max(0, busy.length - 1));
  /** @type {Gap[]} */
  const gaps = [];
  let drawn = 0;
  const pieces = busy.map(({ from, to }, index) => {
    const next = busy[index + 1];
    const piece = { from, to, at: drawn / whole };
    drawn += to - from;
    if (next !== undefined) {
      const width = DRAWN * scaled;
      gaps.push({ at: drawn / whole, width: width / whole, seconds: next.from - to });
      drawn += width;
    }
    return piece;
  });
  return {
    gaps,
    end: busy.at(-1)?.to ?? 0,
    place({ start, seconds }) {
      const piece = pieces.findLast(({ from }) => from <= start) ?? pieces[0];
      const at = (piece?.at ?? 0) + (start - (piece?.from ?? 0)) / whole;
      return { at, width: seconds / whole };
    },
  };
}
