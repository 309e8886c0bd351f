import assert from "node:assert/strict";
import { test } from "node:test";

import type { StatsEntry } from "./peer.js";
import { playQuality, publishQuality } from "./quality.js";

const codec: StatsEntry = { type: "codec", id: "c", mimeType: "video/VP8" };
const pair: StatsEntry = { type: "candidate-pair", nominated: true, currentRoundTripTime: 0.012 };

function inbound(seconds: number, lost: number): StatsEntry[] {
  return [
    codec,
    pair,
    {
      type: "inbound-rtp",
      kind: "video",
      codecId: "c",
      bytesReceived: seconds * 125_000,
      packetsReceived: seconds * 100,
      packetsLost: lost,
      framesDecoded: seconds * 30,
      frameWidth: 1280,
      frameHeight: 720,
      jitterBufferDelay: seconds * 0.6,
      jitterBufferEmittedCount: seconds * 30,
    },
    {
      type: "inbound-rtp",
      kind: "audio",
      bytesReceived: seconds * 4_000,
      totalSamplesReceived: seconds * 48_000,
      concealedSamples: seconds * 960,
      silentConcealedSamples: seconds * 480,
    },
  ];
}

test("rates are those of the interval, not of the whole play", () => {
  const first = playQuality(undefined, inbound(10, 0), 10_000);
  assert.equal(first.figures.video.videoBitrate, 0);
  const { figures } = playQuality(first.counters, inbound(13, 100), 13_000);
  assert.equal(figures.video.videoBitrate, 1000);
  assert.equal(figures.video.videoFPS, 30);
  assert.equal(figures.video.videoPacketsLost, 100);
  assert.equal(figures.video.videoPacketsLostRate, 25);
  assert.ok(Math.abs(figures.video.jitterBufferDelay - 20) < 1e-9);
  assert.equal(figures.video.googCodecName, "VP8");
  assert.equal(figures.audio.audioBitrate, 32);
  assert.equal(figures.audio.audioConcealedRate, 1);
  assert.equal(figures.currentRoundTripTime, 12);
});

test("layers of a publisher add up, the largest stands for its size", () => {
  const layers = (seconds: number): StatsEntry[] =>
    [180, 360, 720].map((height) => ({
      type: "outbound-rtp",
      kind: "video",
      codecId: "c",
      frameHeight: height,
      frameWidth: (height * 16) / 9,
      bytesSent: seconds * 50_000,
      framesEncoded: seconds * 30,
      qualityLimitationReason: height === 720 ? "cpu" : "none",
    }));
  const remote: StatsEntry = { type: "remote-inbound-rtp", kind: "video", packetsLost: 7, fractionLost: 0.25 };
  const first = publishQuality(undefined, [codec, ...layers(1)], 1000);
  const { figures } = publishQuality(first.counters, [codec, remote, ...layers(4)], 4000);
  assert.equal(figures.video.videoBitrate, 1200);
  assert.equal(figures.video.frameHeight, 720);
  assert.equal(figures.video.videoFPS, 30);
  assert.equal(figures.video.layers, 3);
  assert.equal(figures.video.videoPacketsLostRate, 25);
  assert.equal(figures.qualityLimitationReason, "cpu");
});

test("a transport without figures yet gives zeros, never NaN", () => {
  const { figures } = playQuality(undefined, [], 0);
  assert.ok(Object.values(figures.video).every((value) => value === 0 || value === ""));
  assert.equal(publishQuality(undefined, [], 0).figures.video.videoPacketsLostRate, 0);
});
