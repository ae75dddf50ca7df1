// Keep the page for when there is no network: register its service worker, and say what has come of it.
//
// Only the page itself does so. Whoever imports pesoleve.js into a page of theirs gets no service worker.

/**
 * @typedef {'unknown' | 'kept' | 'update' | 'refused'} OfflineState  `update`: a newer version waits for
 *   this page to be closed; `refused`: this browser does not let the page be kept
 */

const SERVICE_WORKER = new URL('../service_worker.js', import.meta.url);
const SCOPE = new URL('.', SERVICE_WORKER).href;

/** Says, in this tab, that the page reloaded itself to be isolated: where that does not help, once is enough. */
const RELOADED = 'pesoleve-reloaded';

/** Fires `change` when the state is another. */
export const offlineChanges = new EventTarget();

/** @type {OfflineState} */
let state = 'unknown';

/** @returns {OfflineState} */
export function offlineState() {
  return state;
}

/** @param {OfflineState} next */
function become(next) {
  if (next === state) return;
  state = next;
  offlineChanges.dispatchEvent(new Event('change'));
}

/**
 * Register the service worker once the page is there. On a host without isolation headers the page then
 * reloads itself, once, because the service worker adds them and threads need them.
 *
 * @param {() => boolean} isIdle whether a reload would take nothing away
 * @param {Promise<void>} shown what comes first: the speed of a device that keeps files meanwhile is that of a slower one
 */
export async function keepOffline(isIdle, shown) {
  const { serviceWorker } = navigator;
  if (serviceWorker === undefined) return; // an insecure address, or an old browser
  let touched = false;
  addEventListener('input', () => (touched = true), { once: true });
  const isolate = () => {
    if (self.crossOriginIsolated || serviceWorker.controller === null) return;
    if (touched || !isIdle() || sessionStorage.getItem(RELOADED) !== null) return;
    sessionStorage.setItem(RELOADED, 'yes');
    location.reload();
  };
  serviceWorker.addEventListener('controllerchange', isolate);
  await loaded();
  // A page that is to be reloaded is measured then, with its threads.
  if (self.crossOriginIsolated) await shown;
  try {
    await serviceWorker.register(SERVICE_WORKER, { updateViaCache: 'none' });
  } catch (error) {
    console.warn('The page is not kept for offline use.', error);
    become('refused');
    return;
  }
  const registration = await serviceWorker.getRegistration(SCOPE);
  if (registration === undefined) return; // something between here and the browser only said yes
  follow(registration);
  isolate();
}

/** @returns {Promise<unknown>} */
function loaded() {
  if (document.readyState === 'complete') return Promise.resolve();
  return new Promise((resolve) => addEventListener('load', resolve, { once: true }));
}

/** @param {ServiceWorkerRegistration} registration */
function follow(registration) {
  const look = () => {
    if (registration.active !== null) become(registration.waiting === null ? 'kept' : 'update');
  };
  const watch = () => registration.installing?.addEventListener('statechange', look);
  registration.addEventListener('updatefound', watch);
  watch();
  look();
}

/**
 * Tell the service worker what a load used of the runtimes: it may have come too late to see it.
 *
 * @param {{role: string, path: string}[]} files of `Model.stats`
 */
export async function keepRuntimes(files) {
  if (navigator.serviceWorker === undefined) return;
  const { active } = await navigator.serviceWorker.ready;
  const used = files.filter(({ role }) => role === 'python' || role === 'runtime');
  active?.postMessage({ type: 'keep', paths: used.map(({ path }) => `vendor/${path}`) });
}
