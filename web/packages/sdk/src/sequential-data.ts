/** Reliable, ordered bytes beside a stream: the product's RealTimeSequentialDataManager. */

import { Emitter } from "./emitter.js";
import type { Messaging } from "./messaging.js";

/** Event → arguments. */
export interface SequentialDataEvents {
  /** (data, streamID) */
  readonly receiveRealTimeSequentialData: readonly [Uint8Array, string];
}

/** Made by `engine.createRealTimeSequentialDataManager`; one for a room. Streams are those of any room. */
export class SequentialDataManager {
  readonly #events = new Emitter<SequentialDataEvents>();
  readonly #messaging: Messaging;

  constructor(messaging: Messaging) {
    this.#messaging = messaging;
  }

  on(event: "receiveRealTimeSequentialData", listener: (data: Uint8Array, streamID: string) => void): boolean {
    return this.#events.on(event, listener);
  }

  off(event: "receiveRealTimeSequentialData", listener?: (data: Uint8Array, streamID: string) => void): boolean {
    return this.#events.off(event, listener);
  }

  /** Bytes (1 to 4096) to those who hear the data of an own stream. 1009036 not published here, 1009039 not sent. */
  async sendRealTimeSequentialData(streamID: string, data: ArrayBuffer | Uint8Array): Promise<boolean> {
    await this.#messaging.sendData(streamID, data instanceof Uint8Array ? data : new Uint8Array(data));
    return true;
  }

  /** Hear the data of a stream. 1009038 when that is so already, 1104039 no such stream. */
  async startSubscribing(streamID: string): Promise<boolean> {
    await this.#messaging.subscribe(streamID);
    return true;
  }

  /** Hear it no longer. 1009037 when it is not heard. */
  async stopSubscribing(streamID: string): Promise<boolean> {
    await this.#messaging.unsubscribe(streamID);
    return true;
  }

  /** For the engine: data of a subscribed stream arrived. */
  received(streamID: string, data: Uint8Array): void {
    this.#events.emit("receiveRealTimeSequentialData", data, streamID);
  }

  /** For the engine: nobody listens any more. */
  close(): void {
    this.#events.clear();
  }
}
