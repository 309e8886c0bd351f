/** What the SDK needs from its surroundings: a clock, sockets, peer connections. The browser's are in browser-*.ts. */

import type { MediaPeers } from "./peer.js";

/** Time and timers. */
export interface Clock {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Call `then` after `ms`; the returned function calls it off. */
  after(ms: number, then: () => void): () => void;
}

/** What a socket reports. `closed` comes exactly once, also when the socket never opened. */
export interface SocketHandler {
  opened(): void;
  received(text: string): void;
  closed(detail: string): void;
}

/** A message connection to the server. */
export interface Socket {
  send(text: string): void;
  close(): void;
}

/** What happens to the machine's network and to the page. */
export interface NetworkHandler {
  /** The network came, went or changed, or the page is awake again. */
  changed(): void;
  /** The page is about to be closed for good. */
  leaving(): void;
}

/** Everything together. */
export interface Platform {
  readonly clock: Clock;
  readonly peers: MediaPeers;
  openSocket(url: string, handler: SocketHandler): Socket;
  /** Tell what happens to network and page; the returned function stops that. */
  watchNetwork(handler: NetworkHandler): () => void;
  /** A number from 0 to 1, to spread reconnects of many clients. */
  random(): number;
  /** The browser, for the operator's eyes. */
  readonly description: string;
}
