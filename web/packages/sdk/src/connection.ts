/** One connection to the server: a socket, the signalling machine that speaks over it, and the machine's timer. */

import { deferred } from "./deferred.js";
import { NativeCode, SanderlingError } from "./errors.js";
import type { ClientEvent } from "./outcomes.js";
import type { Platform, Socket } from "./platform.js";
import type { SignalingClient } from "./signaling-client.js";

/** Time for a connection to be made. */
const CONNECT_TIMEOUT_MS = 10_000;

/** Made, it connects. The machine outlives it when the session does. */
export class Connection {
  /** Resolves when messages go out; rejects with 1002030 when nothing came of it. */
  readonly opened: Promise<void>;
  readonly #platform: Platform;
  readonly #client: SignalingClient;
  readonly #handle: (event: ClientEvent) => void;
  readonly #socket: Socket;
  readonly #opening = deferred<undefined>();
  #open = false;
  #over = false;
  #draining = false;
  #again = false;
  #cancelTimer: (() => void) | undefined;
  #cancelConnect: (() => void) | undefined;

  constructor(
    platform: Platform,
    url: string,
    client: SignalingClient,
    handle: (event: ClientEvent) => void,
    timeoutMs = CONNECT_TIMEOUT_MS,
  ) {
    this.#platform = platform;
    this.#client = client;
    this.#handle = handle;
    this.opened = this.#opening.promise;
    this.#cancelConnect = platform.clock.after(timeoutMs, () => {
      this.#closed("no answer to the attempt to connect");
    });
    this.#socket = platform.openSocket(url, {
      opened: () => {
        if (this.#over) return;
        this.#open = true;
        this.#cancelConnect?.();
        this.#opening.resolve(undefined);
        this.flush();
      },
      received: (text) => {
        if (this.#over) return;
        client.receive(text, platform.clock.now());
        this.flush();
      },
      closed: (detail) => {
        this.#closed(detail);
      },
    });
  }

  /** Carry out what the machine wants, then set the timer for what it wants next. */
  flush(): void {
    if (this.#draining) {
      // From inside of a handler: events keep their order.
      this.#again = true;
      return;
    }
    this.#draining = true;
    try {
      while (this.#drain());
    } finally {
      this.#draining = false;
    }
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const wakeAt = this.#due();
    if (wakeAt === Infinity) return;
    this.#cancelTimer = this.#platform.clock.after(Math.max(wakeAt - this.#platform.clock.now(), 0), () => {
      this.#client.handleTimeout(this.#platform.clock.now());
      this.flush();
    });
  }

  /** Let go of it at once; nothing more is heard of it. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#open = false;
    this.#cancelTimer?.();
    this.#cancelConnect?.();
    this.#opening.reject(new SanderlingError(NativeCode.LOGIN_FAILED, "the attempt to connect was given up"));
    this.#socket.close();
  }

  #due(): number {
    return this.#over ? Infinity : this.#client.wakeAt();
  }

  /** One round; true when a handler asked for another. */
  #drain(): boolean {
    this.#again = false;
    if (this.#open) for (const text of this.#client.takeOutgoing()) this.#socket.send(text);
    if (!this.#over) for (const event of this.#client.takeEvents()) this.#handle(event);
    return this.#again;
  }

  #closed(detail: string): void {
    if (this.#over) return;
    if (this.#open) {
      this.#open = false;
      this.#client.disconnected(detail);
      this.flush();
    } else {
      // The machine may wait for the next connection: nothing of it was lost with this one.
      this.#opening.reject(new SanderlingError(NativeCode.LOGIN_FAILED, `no connection to the server: ${detail}`));
    }
    this.abort();
  }
}
