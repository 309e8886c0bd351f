/** Which local streams are muted, whether they are published or not. */

import type { DeviceState } from "./publishing.js";

interface States {
  readonly camera: DeviceState;
  readonly microphone: DeviceState;
}

const OPEN: States = { camera: 0, microphone: 0 };

/** One per engine. */
export class Muting {
  readonly #states = new WeakMap<MediaStream, States>();

  /** What camera and microphone of a local stream do. */
  states(media: MediaStream): States {
    return this.#states.get(media) ?? OPEN;
  }

  /** Silence or blank the stream's tracks, or let them through again. */
  change(media: MediaStream, change: Partial<States>): void {
    this.#states.set(media, { ...this.states(media), ...change });
    const { camera, microphone } = this.states(media);
    for (const track of media.getVideoTracks()) track.enabled = camera === 0;
    for (const track of media.getAudioTracks()) track.enabled = microphone === 0;
  }
}
