/** Reads the burned-in clock off the pictures that a video element shows, and times the first one. */

import { BAND, MIN_HEIGHT, MIN_WIDTH, lumaOfRgba, read } from "./clock.js";
import { Window } from "./statistics.js";

/** Size to which a picture is drawn before it is read: cells of 8 x 8, at a sixteenth of the cost of 720 lines. */
const WIDTH = 320;
const HEIGHT = 180;
/** Pictures over which the median is taken: about two seconds. */
const SAMPLES = 60;

/** What the meter found so far. */
export interface DelayFigures {
  /** Median glass-to-glass delay of the last pictures, milliseconds; undefined = the stream shows no clock. */
  readonly delayMs: number | undefined;
  /** From the start of the meter to the first picture, milliseconds. */
  readonly firstFrameMs: number | undefined;
  /** Pictures shown and, of these, pictures with a readable clock. */
  readonly frames: number;
  readonly readable: number;
}

/** Made, it measures until stopped. */
export class DelayMeter {
  readonly #video: HTMLVideoElement;
  readonly #now: (monotonic?: number) => number;
  readonly #startedAt: number;
  readonly #context: CanvasRenderingContext2D | null;
  readonly #delays = new Window(SAMPLES);
  /** Every delay since the start, for measurements. */
  readonly all: number[] = [];
  #firstFrameMs: number | undefined;
  #frames = 0;
  #readable = 0;
  #stopped = false;

  /** `now` tells Unix milliseconds at a monotonic time; `startedAt` is when the play was asked for (monotonic). */
  constructor(video: HTMLVideoElement, now: (monotonic?: number) => number, startedAt: number) {
    this.#video = video;
    this.#now = now;
    this.#startedAt = startedAt;
    const canvas = document.createElement("canvas");
    canvas.width = WIDTH;
    canvas.height = Math.ceil(HEIGHT * BAND);
    this.#context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.#ask();
  }

  get figures(): DelayFigures {
    return {
      delayMs: this.#delays.quantile(0.5),
      firstFrameMs: this.#firstFrameMs,
      frames: this.#frames,
      readable: this.#readable,
    };
  }

  stop(): void {
    this.#stopped = true;
  }

  #ask(): void {
    if ("requestVideoFrameCallback" in this.#video) {
      this.#video.requestVideoFrameCallback((_, metadata) => {
        if (this.#stopped) return;
        // When the picture is on the screen, not merely on its way there. Not before now: what is drawn below may
        // already be the next picture, whose clock must not be compared with the time of this one.
        this.#take(Math.max(metadata.expectedDisplayTime, performance.now()));
        this.#ask();
      });
    } else {
      // Firefox before 132: the first picture is known, single ones are not.
      (this.#video as HTMLVideoElement).addEventListener("loadeddata", () => {
        this.#take(performance.now());
      });
    }
  }

  #take(shownAt: number): void {
    const track = (this.#video.srcObject as MediaStream | null)?.getVideoTracks()[0];
    // Black pictures of a slot that still holds another stream's.
    if (track?.enabled !== true) return;
    this.#frames += 1;
    this.#firstFrameMs ??= shownAt - this.#startedAt;
    const { videoWidth, videoHeight } = this.#video;
    if (this.#context === null || videoWidth < MIN_WIDTH || videoHeight < MIN_HEIGHT) return;
    const { width, height } = this.#context.canvas;
    // Only the band with the clock, its height scaled as the whole picture's would be.
    this.#context.drawImage(this.#video, 0, 0, videoWidth, (videoHeight * height) / HEIGHT, 0, 0, width, height);
    const reading = read(lumaOfRgba(this.#context.getImageData(0, 0, width, height).data, WIDTH), WIDTH, HEIGHT);
    if (reading === undefined) return;
    this.#readable += 1;
    const delay = this.#now(shownAt) - reading.unixMs;
    this.#delays.add(delay);
    if (this.all.length < 100_000) this.all.push(delay);
  }
}
