// Two workers, and what the one asks of the other over a port: a method's name and what it is given, then its answer or
// why there is none.

/**
 * @param {MessagePort} port
 * @param {Record<string, (...given: any[]) => unknown>} methods what may be asked
 */
export function answerCalls(port, methods) {
  port.addEventListener('message', async ({ data: { id, method, given } }) => {
    try {
      const asked = methods[method];
      if (asked === undefined) throw new Error(`there is no ${method} to ask for`);
      port.postMessage({ id, value: await asked(...given) });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      port.postMessage({ id, failure: message });
    }
  });
  port.start();
}

export class Caller {
  /** @param {MessagePort} port */
  constructor(port) {
    this.port = port;
    this.nextId = 1;
    /** @type {Map<number, PromiseWithResolvers<any>>} */
    this.pending = new Map();
    port.addEventListener('message', ({ data: { id, value, failure } }) => {
      const asked = this.pending.get(id);
      this.pending.delete(id);
      if (failure === undefined) asked?.resolve(value);
      else asked?.reject(new Error(failure));
    });
    port.start();
  }

  /** @param {string} method @param {unknown[]} given @returns {Promise<any>} calls arrive in the order they are made in */
  call(method, ...given) {
    const id = this.nextId++;
    const asked = Promise.withResolvers();
    this.pending.set(id, asked);
    this.port.postMessage({ id, method, given });
    return asked.promise;
  }
}
