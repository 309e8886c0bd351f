/** One picture of the stage with its name, state, delay and first-frame time. */

import type { PlayQuality, PublishQuality } from "@sanderling/web";

import { DelayMeter } from "./delay-meter.js";
import { make, showPhrase } from "./page.js";
import type { Phrase } from "./words.js";

/** Milliseconds between two updates of the figures. */
const REFRESH_MS = 500;

/** What a tile shows of its stream. */
export interface TileSubject {
  readonly streamID: string;
  /** Who publishes it, as shown. */
  readonly owner: string;
  readonly local: boolean;
  readonly mirrored: boolean;
}

/** Made, it stands on the stage until `remove`. */
export class Tile {
  readonly root = make("figure", "tile");
  readonly video = make("video");
  readonly #state = make("span", "state");
  readonly #figures = make("span", "figures");
  readonly #quality = make("span", "quality");
  readonly #unmute = make("button", "unmute", "Tap for sound");
  readonly #again = make("button", "again", "Play again");
  readonly #now: (monotonic?: number) => number;
  #meter: DelayMeter | undefined;
  #timer: number | undefined;

  /** `again` plays the stream anew, after a failure. */
  constructor(subject: TileSubject, now: (monotonic?: number) => number, again: () => void) {
    this.#now = now;
    this.root.dataset["stream"] = subject.streamID;
    this.root.dataset["local"] = String(subject.local);
    this.video.playsInline = true;
    this.video.autoplay = true;
    this.video.muted = subject.local;
    this.video.setAttribute("aria-label", `${subject.local ? "Your own picture" : "Live picture"}, ${subject.streamID}`);
    if (subject.mirrored) this.video.classList.add("mirrored");
    const name = make("span", "name", subject.local ? `You · ${subject.streamID}` : subject.streamID);
    const owner = make("span", "owner", subject.local ? "" : subject.owner);
    const caption = make("figcaption");
    const title = make("div", "title");
    title.append(name, owner, this.#state);
    const details = make("div", "details");
    details.append(this.#figures, this.#quality);
    caption.append(title, details);
    this.#unmute.type = "button";
    this.#unmute.hidden = true;
    this.#unmute.addEventListener("click", () => {
      this.#setMuted(false);
      this.video.play().catch(() => {
        this.#setMuted(true);
      });
    });
    this.#again.type = "button";
    this.#again.hidden = true;
    this.#again.addEventListener("click", again);
    const picture = make("div", "picture");
    picture.append(this.video, this.#unmute, this.#again);
    this.root.append(picture, caption);
  }

  /** Show a stream; a remote one is measured from `startedAt`, when its play was asked for (monotonic). */
  show(stream: MediaStream, startedAt?: number): void {
    this.video.srcObject = stream;
    if (startedAt !== undefined) this.#measure(startedAt);
    this.video.play().catch((error: unknown) => {
      // Browsers start no sound before the user touched the page: go on without, and offer it.
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
      this.#setMuted(true);
      this.video.play().catch(() => undefined);
    });
  }

  /** `failed`: the play is over and can only be begun anew. */
  setState(phrase: Phrase, failed = false): void {
    showPhrase(this.#state, phrase);
    this.#again.hidden = !failed;
  }

  showPlayQuality({ video, audio, currentRoundTripTime }: PlayQuality): void {
    this.#quality.textContent = join([
      video.frameHeight > 0 ? `${String(video.frameWidth)}×${String(video.frameHeight)}` : "",
      `${video.videoFPS.toFixed(0)} fps`,
      video.googCodecName,
      rate(video.videoBitrate + audio.audioBitrate),
      video.videoPacketsLostRate >= 0.1 ? `${video.videoPacketsLostRate.toFixed(1)} % lost` : "",
      `${currentRoundTripTime.toFixed(0)} ms round trip`,
    ]);
  }

  showPublishQuality({ video, audio, currentRoundTripTime }: PublishQuality): void {
    this.root.dataset["layers"] = String(video.layers);
    this.#quality.textContent = join([
      video.frameHeight > 0 ? `${String(video.frameWidth)}×${String(video.frameHeight)}` : "",
      `${video.videoFPS.toFixed(0)} fps`,
      video.googCodecName,
      video.layers > 1 ? `${String(video.layers)} layers` : "",
      rate(video.videoBitrate + audio.audioBitrate),
      `${currentRoundTripTime.toFixed(0)} ms round trip`,
    ]);
  }

  /** Every delay measured so far, milliseconds. */
  get delays(): readonly number[] {
    return this.#meter?.all ?? [];
  }

  remove(): void {
    this.#meter?.stop();
    window.clearInterval(this.#timer);
    this.video.srcObject = null;
    this.root.remove();
  }

  #measure(startedAt: number): void {
    this.#meter?.stop();
    for (const name of ["frames", "readable", "firstFrameMs", "delayMs"]) Reflect.deleteProperty(this.root.dataset, name);
    const meter = (this.#meter = new DelayMeter(this.video, this.#now, startedAt));
    window.clearInterval(this.#timer);
    this.#timer = window.setInterval(() => {
      const { delayMs, firstFrameMs, frames, readable } = meter.figures;
      const { dataset } = this.root;
      dataset["frames"] = String(frames);
      dataset["readable"] = String(readable);
      if (firstFrameMs !== undefined) dataset["firstFrameMs"] = firstFrameMs.toFixed(1);
      if (delayMs !== undefined) dataset["delayMs"] = delayMs.toFixed(1);
      this.#figures.replaceChildren(
        ...chip("Delay", delayMs, frames > 0 && readable === 0 ? "no clock in the picture" : ""),
        ...chip("First frame", firstFrameMs, "waiting"),
      );
    }, REFRESH_MS);
  }

  #setMuted(muted: boolean): void {
    this.video.muted = muted;
    this.#unmute.hidden = !muted;
  }
}

function chip(name: string, ms: number | undefined, without: string): HTMLElement[] {
  const value = ms === undefined ? without : `${ms.toFixed(0)} ms`;
  if (value === "") return [];
  const made = make("span", "chip");
  made.append(make("span", "label", name), make("strong", "", value));
  return [made];
}

function rate(kbps: number): string {
  return kbps >= 1000 ? `${(kbps / 1000).toFixed(1)} Mbit/s` : `${kbps.toFixed(0)} kbit/s`;
}

function join(parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join(" · ");
}
