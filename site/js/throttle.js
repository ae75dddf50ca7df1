// What is worth doing seldom, however often there is reason to.

/**
 * @param {() => void} work
 * @param {number} milliseconds
 * @returns {() => void} does the work soon after it is called, and not again for so long; what is asked for meanwhile
 *   is done once, then
 */
export function throttle(work, milliseconds) {
  let next = 0;
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    setTimeout(() => {
      waits = false;
      next = performance.now() + milliseconds;
      work();
    }, next - performance.now());
  };
}
