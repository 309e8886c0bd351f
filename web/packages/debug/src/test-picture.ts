/** A moving picture with the burned-in clock, and a tone: something to publish without a camera. */

import { burn, type Surface } from "./clock.js";

/** Pixels and pictures a second. */
export const WIDTH = 1280;
export const HEIGHT = 720;
export const FPS = 30;
/** The tone: concert pitch, quiet. */
export const TONE_HZ = 440;
const TONE_GAIN = 0.08;

/** Chromium's way to feed single pictures into a track; not in the DOM types. */
interface TrackGenerator extends MediaStreamTrack {
  readonly writable: WritableStream<VideoFrame>;
}

type TrackGeneratorMaker = new (init: { kind: "video" }) => TrackGenerator;

/** Made, it runs; `stop` frees timer, tracks and sound. */
export class TestPicture {
  readonly stream = new MediaStream();
  readonly #now: () => number;
  readonly #canvas = document.createElement("canvas");
  readonly #context: CanvasRenderingContext2D;
  readonly #background: HTMLCanvasElement;
  readonly #ticker: Ticker;
  readonly #sound: AudioContext | undefined;
  #frame = 0;
  #emit: () => void = () => undefined;

  /** `now` tells Unix milliseconds; `label` is written into the picture. */
  constructor(now: () => number, label: string) {
    this.#now = now;
    this.#canvas.width = WIDTH;
    this.#canvas.height = HEIGHT;
    this.#context = contextOf(this.#canvas);
    this.#background = background(label);
    this.stream.addTrack(this.#videoTrack());
    this.#sound = this.#addTone();
    this.#draw();
    this.#ticker = new Ticker(1000 / FPS, () => {
      this.#draw();
      this.#emit();
    });
  }

  /** Browsers keep a page silent until the user touches it; called at every touch. */
  resumeSound(): void {
    if (this.#sound?.state === "suspended") void this.#sound.resume();
  }

  stop(): void {
    this.#ticker.stop();
    for (const track of this.stream.getTracks()) track.stop();
    void this.#sound?.close();
  }

  #videoTrack(): MediaStreamTrack {
    const maker = (globalThis as { MediaStreamTrackGenerator?: TrackGeneratorMaker }).MediaStreamTrackGenerator;
    if (maker === undefined) {
      // Elsewhere the browser takes the pictures itself, at its own refresh.
      const track = this.#canvas.captureStream(FPS).getVideoTracks()[0];
      if (track === undefined) throw new Error("this browser takes no pictures from a canvas");
      return track;
    }
    const generator = new maker({ kind: "video" });
    const writer = generator.writable.getWriter();
    this.#emit = () => {
      const frame = new VideoFrame(this.#canvas, { timestamp: Math.round(performance.now() * 1000) });
      // Full or closed: the picture is dropped, the next one is newer.
      if ((writer.desiredSize ?? 0) <= 0) frame.close();
      else
        writer.write(frame).catch(() => {
          frame.close();
        });
    };
    return generator;
  }

  #addTone(): AudioContext | undefined {
    if (!("AudioContext" in globalThis)) return undefined;
    const sound = new AudioContext({ latencyHint: "interactive" });
    const oscillator = new OscillatorNode(sound, { frequency: TONE_HZ });
    const gain = new GainNode(sound, { gain: TONE_GAIN });
    const destination = new MediaStreamAudioDestinationNode(sound);
    oscillator.connect(gain).connect(destination);
    oscillator.start();
    for (const track of destination.stream.getAudioTracks()) this.stream.addTrack(track);
    return sound;
  }

  #draw(): void {
    const context = this.#context;
    const unixMs = this.#now();
    context.drawImage(this.#background, 0, 0);
    const seconds = unixMs / 1000;
    // A ball on an endless eight, easy to see stutter.
    const angle = ((seconds % 4) / 4) * 2 * Math.PI;
    context.fillStyle = "#ffd27a";
    context.beginPath();
    context.arc(WIDTH / 2 + Math.sin(angle) * 430, 420 + Math.sin(2 * angle) * 110, 34, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = "#f2f6fa";
    context.font = "600 84px ui-monospace, monospace";
    context.textAlign = "center";
    context.fillText(new Date(unixMs).toISOString().slice(11, 22), WIDTH / 2, 270);
    burn(surfaceOf(context), WIDTH, HEIGHT, this.#now(), this.#frame);
    this.#frame += 1;
  }
}

/** A timer that browsers do not slow down in hidden tabs: it ticks in a worker where the page may have one. */
class Ticker {
  readonly #stop: () => void;

  constructor(intervalMs: number, tick: () => void) {
    try {
      const source = `setInterval(() => postMessage(0), ${String(intervalMs)})`;
      const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      const worker = new Worker(address);
      worker.onmessage = tick;
      this.#stop = () => {
        worker.terminate();
        URL.revokeObjectURL(address);
      };
    } catch {
      // A content policy forbids workers from blobs.
      const timer = setInterval(tick, intervalMs);
      this.#stop = () => {
        clearInterval(timer);
      };
    }
  }

  stop(): void {
    this.#stop();
  }
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  // Pictures are taken from it all the time: in main memory that costs nothing.
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  if (context === null) throw new Error("this browser draws no pictures");
  return context;
}

function surfaceOf(context: CanvasRenderingContext2D): Surface {
  return {
    fill: (white, x, y, width, height) => {
      context.fillStyle = white ? "#ffffff" : "#000000";
      context.fillRect(x, y, width, height);
    },
  };
}

const BARS = ["#c8c8c8", "#c8c800", "#00c8c8", "#00c800", "#c800c8", "#c80000", "#0000c8"];

function background(label: string): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const context = contextOf(canvas);
  const sky = context.createLinearGradient(0, 0, 0, HEIGHT);
  sky.addColorStop(0, "#12304a");
  sky.addColorStop(0.75, "#1f5a76");
  sky.addColorStop(1, "#163a4c");
  context.fillStyle = sky;
  context.fillRect(0, 0, WIDTH, HEIGHT);
  BARS.forEach((color, index) => {
    context.fillStyle = color;
    const left = Math.round((index * WIDTH) / BARS.length);
    context.fillRect(left, HEIGHT - 90, Math.round(((index + 1) * WIDTH) / BARS.length) - left, 60);
  });
  context.fillStyle = "rgba(242, 246, 250, 0.75)";
  context.font = "500 30px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillText(label, WIDTH / 2, 590, WIDTH - 80);
  return canvas;
}
