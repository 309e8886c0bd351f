/** Figures of published and played streams, computed from two looks at a transport's statistics. No DOM. */

import type { StatsEntry } from "./peer.js";

/** Figures of a played stream, over the last interval where not said otherwise. */
export interface PlayQuality {
  readonly video: {
    readonly frameWidth: number;
    readonly frameHeight: number;
    /** Kilobits per second. */
    readonly videoBitrate: number;
    /** Decoded pictures per second. */
    readonly videoFPS: number;
    readonly videoPacketsLost: number;
    /** 0 to 100. */
    readonly videoPacketsLostRate: number;
    /** Since the start. */
    readonly videoFramesDecoded: number;
    readonly videoFramesDropped: number;
    /** Milliseconds the picture stood still, since the start. */
    readonly videoCumulativeBreakTime: number;
    readonly googCodecName: string;
    /** Mean milliseconds a picture waited in the jitter buffer. */
    readonly jitterBufferDelay: number;
  };
  readonly audio: {
    /** Kilobits per second. */
    readonly audioBitrate: number;
    readonly audioPacketsLost: number;
    /** 0 to 100. */
    readonly audioPacketsLostRate: number;
    /** 0 to 100: share of the sound made up for lost packets. */
    readonly audioConcealedRate: number;
    readonly googCodecName: string;
    /** 0 to 1. */
    readonly audioLevel: number;
  };
  /** Milliseconds. */
  readonly currentRoundTripTime: number;
  readonly nackCount: number;
  readonly pliCount: number;
}

/** Figures of a published stream, over the last interval where not said otherwise. */
export interface PublishQuality {
  readonly video: {
    readonly frameWidth: number;
    readonly frameHeight: number;
    /** Kilobits per second over all layers. */
    readonly videoBitrate: number;
    readonly videoFPS: number;
    readonly videoPacketsLost: number;
    /** 0 to 100, as the server reported last. */
    readonly videoPacketsLostRate: number;
    readonly googCodecName: string;
    /** Layers being sent. */
    readonly layers: number;
  };
  readonly audio: {
    /** Kilobits per second. */
    readonly audioBitrate: number;
    readonly audioPacketsLost: number;
    /** 0 to 100, as the server reported last. */
    readonly audioPacketsLostRate: number;
    readonly googCodecName: string;
  };
  /** Milliseconds. */
  readonly currentRoundTripTime: number;
  readonly nackCount: number;
  readonly pliCount: number;
  /** "none", "cpu", "bandwidth" or "other". */
  readonly qualityLimitationReason: string;
}

interface Totals {
  readonly atMs: number;
  readonly bytes: Readonly<Record<"audio" | "video", number>>;
  readonly packets: Readonly<Record<"audio" | "video", number>>;
  readonly lost: Readonly<Record<"audio" | "video", number>>;
  readonly frames: number;
}

/** What the next call needs of this one. */
export interface PlayCounters extends Totals {
  readonly samples: number;
  readonly concealed: number;
  readonly bufferMs: number;
  readonly emitted: number;
}

/** What the next call needs of this one. */
export type PublishCounters = Totals;

function numberOf(entry: StatsEntry | undefined, name: string): number {
  const value = entry?.[name];
  return typeof value === "number" ? value : 0;
}

function textOf(entry: StatsEntry | undefined, name: string): string {
  const value = entry?.[name];
  return typeof value === "string" ? value : "";
}

function percent(part: number, whole: number): number {
  return whole <= 0 ? 0 : Math.min(Math.max((100 * part) / whole, 0), 100);
}

function codecName(entries: readonly StatsEntry[], rtp: StatsEntry | undefined): string {
  const codec = entries.find((entry) => entry["type"] === "codec" && entry["id"] === rtp?.["codecId"]);
  return textOf(codec, "mimeType").replace(/^.*\//, "");
}

function roundTripMs(entries: readonly StatsEntry[]): number {
  const pair = entries.find((entry) => entry["type"] === "candidate-pair" && entry["nominated"] === true);
  return numberOf(pair, "currentRoundTripTime") * 1000;
}

function rates(before: Totals | undefined, now: Totals): {
  readonly kbps: (kind: "audio" | "video") => number;
  readonly fps: number;
} {
  const ms = before === undefined ? 0 : now.atMs - before.atMs;
  return {
    kbps: (kind) => (before === undefined || ms <= 0 ? 0 : ((now.bytes[kind] - before.bytes[kind]) * 8) / ms),
    fps: before === undefined || ms <= 0 ? 0 : ((now.frames - before.frames) * 1000) / ms,
  };
}

/** Figures of a played stream from the entries of its two sections, at `atMs`. */
export function playQuality(
  before: PlayCounters | undefined,
  entries: readonly StatsEntry[],
  atMs: number,
): { readonly counters: PlayCounters; readonly figures: PlayQuality } {
  const inbound = (kind: string): StatsEntry | undefined =>
    entries.find((entry) => entry["type"] === "inbound-rtp" && entry["kind"] === kind);
  const video = inbound("video");
  const audio = inbound("audio");
  const both = (name: string): Record<"audio" | "video", number> => ({
    audio: numberOf(audio, name),
    video: numberOf(video, name),
  });
  const counters: PlayCounters = {
    atMs,
    bytes: both("bytesReceived"),
    packets: both("packetsReceived"),
    lost: both("packetsLost"),
    frames: numberOf(video, "framesDecoded"),
    samples: numberOf(audio, "totalSamplesReceived"),
    // Silence made up for a sender that pauses is no loss.
    concealed: numberOf(audio, "concealedSamples") - numberOf(audio, "silentConcealedSamples"),
    bufferMs: numberOf(video, "jitterBufferDelay") * 1000,
    emitted: numberOf(video, "jitterBufferEmittedCount"),
  };
  const { kbps, fps } = rates(before, counters);
  const since = (kind: "audio" | "video"): { readonly lost: number; readonly rate: number } => {
    const lost = counters.lost[kind] - (before?.lost[kind] ?? 0);
    return { lost, rate: percent(lost, lost + counters.packets[kind] - (before?.packets[kind] ?? 0)) };
  };
  const emitted = counters.emitted - (before?.emitted ?? 0);
  return {
    counters,
    figures: {
      video: {
        frameWidth: numberOf(video, "frameWidth"),
        frameHeight: numberOf(video, "frameHeight"),
        videoBitrate: kbps("video"),
        videoFPS: fps,
        videoPacketsLost: since("video").lost,
        videoPacketsLostRate: since("video").rate,
        videoFramesDecoded: counters.frames,
        videoFramesDropped: numberOf(video, "framesDropped"),
        videoCumulativeBreakTime: numberOf(video, "totalFreezesDuration") * 1000,
        googCodecName: codecName(entries, video),
        jitterBufferDelay: emitted <= 0 ? 0 : (counters.bufferMs - (before?.bufferMs ?? 0)) / emitted,
      },
      audio: {
        audioBitrate: kbps("audio"),
        audioPacketsLost: since("audio").lost,
        audioPacketsLostRate: since("audio").rate,
        audioConcealedRate: percent(
          counters.concealed - (before?.concealed ?? 0),
          counters.samples - (before?.samples ?? 0),
        ),
        googCodecName: codecName(entries, audio),
        audioLevel: numberOf(audio, "audioLevel"),
      },
      currentRoundTripTime: roundTripMs(entries),
      nackCount: numberOf(video, "nackCount"),
      pliCount: numberOf(video, "pliCount"),
    },
  };
}

/** Figures of a published stream from the entries of its transport, at `atMs`. */
export function publishQuality(
  before: PublishCounters | undefined,
  entries: readonly StatsEntry[],
  atMs: number,
): { readonly counters: PublishCounters; readonly figures: PublishQuality } {
  const outbound = (kind: string): StatsEntry[] =>
    entries.filter((entry) => entry["type"] === "outbound-rtp" && entry["kind"] === kind);
  const remote = (kind: string): StatsEntry[] =>
    entries.filter((entry) => entry["type"] === "remote-inbound-rtp" && entry["kind"] === kind);
  const sum = (list: readonly StatsEntry[], name: string): number =>
    list.reduce((total, entry) => total + numberOf(entry, name), 0);
  const worst = (list: readonly StatsEntry[], name: string): number =>
    Math.max(0, ...list.map((entry) => numberOf(entry, name)));
  const layers = outbound("video");
  const sound = outbound("audio");
  // The largest layer stands for the stream.
  const top = layers.reduce<StatsEntry | undefined>(
    (best, layer) => (numberOf(layer, "frameHeight") > numberOf(best, "frameHeight") ? layer : best),
    layers[0],
  );
  const both = (name: string): Record<"audio" | "video", number> => ({
    audio: sum(sound, name),
    video: sum(layers, name),
  });
  const counters: PublishCounters = {
    atMs,
    bytes: both("bytesSent"),
    packets: both("packetsSent"),
    lost: { audio: sum(remote("audio"), "packetsLost"), video: sum(remote("video"), "packetsLost") },
    frames: numberOf(top, "framesEncoded"),
  };
  const { kbps, fps } = rates(before, counters);
  return {
    counters,
    figures: {
      video: {
        frameWidth: numberOf(top, "frameWidth"),
        frameHeight: numberOf(top, "frameHeight"),
        videoBitrate: kbps("video"),
        videoFPS: fps,
        videoPacketsLost: counters.lost.video - (before?.lost.video ?? 0),
        videoPacketsLostRate: 100 * worst(remote("video"), "fractionLost"),
        googCodecName: codecName(entries, top),
        layers: layers.filter((layer) => numberOf(layer, "framesEncoded") > 0).length,
      },
      audio: {
        audioBitrate: kbps("audio"),
        audioPacketsLost: counters.lost.audio - (before?.lost.audio ?? 0),
        audioPacketsLostRate: 100 * worst(remote("audio"), "fractionLost"),
        googCodecName: codecName(entries, sound[0]),
      },
      currentRoundTripTime: roundTripMs(entries),
      nackCount: sum(layers, "nackCount"),
      pliCount: sum(layers, "pliCount"),
      qualityLimitationReason: textOf(top, "qualityLimitationReason") || "none",
    },
  };
}
