/** Small parts: addresses, descriptions, events, codes, modes, the version. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { signallingAddresses } from "./address.js";
import { captureObstacle } from "./capture.js";
import { Emitter } from "./emitter.js";
import { SanderlingError, webCode } from "./errors.js";
import { webResource, wireMode, wirePaths, wireResource, wireStreamType } from "./play-options.js";
import { Backoff } from "./retry.js";
import { withStereo } from "./sdp.js";
import { timestampReached } from "./showing.js";
import { VERSION } from "./version.js";

test("addresses: schemes, prefixes, several, and the page's own encryption", () => {
  assert.deepEqual(signallingAddresses("https://a.example/live/"), ["wss://a.example/live/ws"]);
  assert.deepEqual(signallingAddresses("ws://a:1/ws | b:2"), ["ws://a:1/ws", "ws://b:2/ws"]);
  assert.deepEqual(signallingAddresses("a:1", "https:"), ["wss://a:1/ws"]);
  assert.deepEqual(signallingAddresses("http://u:secret@[::1]:7?x=1#y"), ["ws://[::1]:7/ws"]);
});

test("stereo is wished for Opus alone, once, in every audio section", () => {
  const sdp = [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 9",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "m=video 9 UDP/TLS/RTP/SAVPF 96",
    "a=rtpmap:96 VP9/90000",
    "a=fmtp:96 profile-id=0",
    "",
  ].join("\r\n");
  const changed = withStereo(sdp);
  assert.equal(changed, sdp.replace("useinbandfec=1", "useinbandfec=1;stereo=1;sprop-stereo=1"));
  assert.equal(withStereo(changed), changed);
});

test("a listener that throws does not keep the others from hearing", () => {
  const reported: unknown[] = [];
  const emitter = new Emitter<{ readonly said: readonly [string] }>((error) => reported.push(error));
  const heard: string[] = [];
  const second = (text: string): void => {
    heard.push(text);
  };
  emitter.on("said", () => {
    throw new Error("mine");
  });
  assert.equal(emitter.on("said", second), true);
  assert.equal(emitter.on("said", second), false);
  emitter.emit("said", "a");
  assert.deepEqual(heard, ["a"]);
  assert.equal(reported.length, 1);
  assert.equal(emitter.off("said", second), true);
  assert.equal(emitter.off("said", second), false);
  emitter.emit("said", "b");
  assert.deepEqual(heard, ["a"]);
});

test("codes are the web's where it has one", () => {
  for (const [native, web] of [
    [1004072, 1104038],
    [1002077, 1102016],
    [1002067, 1102016],
    [1002078, 1102018],
    [1004002, 1104039],
    [1003072, 1103019],
    [1003028, 1003028],
    [1104038, 1104038],
  ] as const) {
    assert.equal(webCode(native), web);
  }
  const error = new SanderlingError(1002078, "expired", { hint: "make a new one" });
  assert.deepEqual([error.errorCode, error.nativeCode, error.extendedData], [1102018, 1002078, "expired (make a new one)"]);
});

test("resource modes and paths go over the wire in the native numbers, and come back in the web's", () => {
  assert.deepEqual([{}, { resourceMode: 0 }, { resourceMode: 1 }, { resourceMode: 2 }, { resourceMode: 5 }].map((options) => wireMode(options as object)), [3, 3, 1, 2, 5]);
  assert.deepEqual(wirePaths(), { before_publish: 1, publishing: 1, after_publish: 1 });
  assert.deepEqual(wirePaths({ beforePublish: 2, publishing: 0, afterPublish: 1 }), {
    before_publish: 2,
    publishing: 1,
    after_publish: 0,
  });
  assert.deepEqual([0, 1, 2, 3].map(wireResource), [1, 0, 2, undefined]);
  assert.deepEqual([1, 2, 3].map(webResource), [undefined, 2, 0]);
});

test("layers go over the wire in the native numbers", () => {
  assert.deepEqual([0, 1, 2, 3].map(wireStreamType), [1, 2, 0, undefined]);
});

test("RTP timestamps wrap", () => {
  assert.equal(timestampReached(10, 10), true);
  assert.equal(timestampReached(9, 10), false);
  assert.equal(timestampReached(3, 0xffff_fffe), true);
  assert.equal(timestampReached(0xffff_fffe, 3), false);
});

test("waits grow, stay bounded, differ between clients, and end", () => {
  const eager = new Backoff(1_000_000, 0, () => 1);
  assert.deepEqual(
    [0, 0, 0, 0, 0, 0, 0].map((now) => eager.next(now)),
    [0, 100, 200, 400, 800, 1000, 1000],
  );
  // Half a minute on nobody looks any more.
  assert.deepEqual([31_000, 31_000, 31_000, 31_000, 31_000, 31_000].map((now) => eager.next(now)), [
    1000, 2000, 4000, 8000, 15_000, 15_000,
  ]);
  const other = new Backoff(10_000, 0, () => 0);
  assert.deepEqual([other.next(0), other.next(0), other.next(0)], [0, 50, 100]);
  assert.equal(other.next(0, 3_000), 3_000);
  assert.equal(other.next(9_990, 3_000), 10);
  assert.deepEqual([other.over(9_999), other.over(10_000)], [false, true]);
});

test("why the camera is off is said in words", () => {
  assert.equal(captureObstacle(true, true), "");
  assert.match(captureObstacle(false, false), /HTTPS/);
  assert.match(captureObstacle(true, false), /no camera/);
});

test("the version is the package's", () => {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  assert.equal((JSON.parse(text) as { readonly version: string }).version, VERSION);
});
