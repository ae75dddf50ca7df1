// When to try again: exponential backoff with full jitter
// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), or when the server says.

/** Nobody waits longer in front of a page; a server that asks for more is tried by the next visit. */
const LONGEST_WAIT = 60;

/**
 * @param {{attempts: number, firstDelay: number}} patience
 * @returns {{next: (error: Error & {retryAfter?: string | null}) => Promise<void>, reset: () => void}}
 *   `next` waits, or throws the error when there were as many in a row as patience has, or when the server
 *   asks for a wait that is too long
 */
export function attempts({ attempts: most, firstDelay }) {
  let failed = 0;
  return {
    reset() {
      failed = 0;
    },
    async next(error) {
      failed += 1;
      const wanted = asked(error.retryAfter);
      if (failed >= most || (wanted ?? 0) > LONGEST_WAIT) throw error;
      const backoff = Math.random() * firstDelay * 2 ** (failed - 1);
      const seconds = Math.min(LONGEST_WAIT, wanted ?? backoff);
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    },
  };
}

/** @param {string | null | undefined} header Retry-After: seconds, or a date @returns {number | null} */
function asked(header) {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}
