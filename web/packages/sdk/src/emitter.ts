/** Named events with typed arguments. A listener that throws does not keep the others from hearing. */

/** Event name → arguments of its listeners. */
export type EventMap<M> = { readonly [K in keyof M]: readonly unknown[] };

type Listener<A extends readonly unknown[]> = (...args: A) => void;

/** Holds the listeners of one object. */
export class Emitter<M extends EventMap<M>> {
  readonly #listeners = new Map<keyof M, Set<Listener<never>>>();
  readonly #report: (error: unknown) => void;

  /** `report` receives what a listener threw; by default the page's own error handling does. */
  constructor(report: (error: unknown) => void = rethrow) {
    this.#report = report;
  }

  /** Hear `event`; false when this listener hears it already. */
  on<K extends keyof M>(event: K, listener: Listener<M[K]>): boolean {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    const known = listeners.has(listener);
    listeners.add(listener);
    return !known;
  }

  /** Hear `event` no more; without a listener all of its listeners go. False when there was none. */
  off<K extends keyof M>(event: K, listener?: Listener<M[K]>): boolean {
    if (listener === undefined) return this.#listeners.delete(event);
    return this.#listeners.get(event)?.delete(listener) ?? false;
  }

  /** Tell everybody, in the order in which they asked. */
  emit<K extends keyof M>(event: K, ...args: M[K]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        (listener as unknown as Listener<M[K]>)(...args);
      } catch (error) {
        this.#report(error);
      }
    }
  }

  /** Forget every listener. */
  clear(): void {
    this.#listeners.clear();
  }
}

function rethrow(error: unknown): void {
  // Out of the current call, so that the SDK goes on; the page sees it as an uncaught error.
  queueMicrotask(() => {
    throw error;
  });
}
