/** What rooms carry beside media: messages, extra infos, device states, tokens, paths, several rooms. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { LoginOk, ServerMessage } from "@sanderling/protocol";

import { SanderlingEngine } from "./engine.js";
import type { EngineEvents } from "./events.js";
import { networkLevel } from "./monitor.js";
import { FakePlatform, settle, type FakeSocket } from "./testing.js";

const HEARD = [
  "IMRecvBroadcastMessage",
  "IMRecvBarrageMessage",
  "IMRecvCustomCommand",
  "recvRoomTransparentMessage",
  "roomExtraInfoUpdate",
  "streamExtraInfoUpdate",
  "roomOnlineUserCountUpdate",
  "remoteCameraStatusUpdate",
  "remoteMicStatusUpdate",
  "tokenWillExpire",
  "playerResourceUpdate",
  "networkQuality",
] as const satisfies readonly (keyof EngineEvents)[];

const alice = { user_id: "alice", user_name: "Alice" };
const aliceInfo = { userID: "alice", userName: "Alice" };

interface Stage {
  readonly platform: FakePlatform;
  readonly engine: SanderlingEngine;
  readonly socket: FakeSocket;
  readonly heard: unknown[];
}

function loginOk(socket: FakeSocket, more: Partial<LoginOk> = {}): LoginOk {
  return {
    type: "login_ok",
    seq: socket.last("login").seq,
    session_id: "s",
    secret: "x",
    resume_ms: 90_000,
    server_ms: 0,
    heartbeat_ms: 0,
    max_plays: 12,
    viewer_answer: "answer",
    ...more,
  };
}

async function inRoom(token: string | (() => string) = "t", more: Partial<LoginOk> = {}): Promise<Stage> {
  const platform = new FakePlatform();
  const engine = new SanderlingEngine(1, "http://127.0.0.1:7700", platform);
  const heard: unknown[] = [];
  for (const event of HEARD) engine.on(event, (...args: readonly unknown[]) => heard.push([event, ...args]));
  void engine.loginRoom("lobby", token, { userID: "bob" });
  const socket = await platform.connected();
  await socket.reply(loginOk(socket, more));
  return { platform, engine, socket, heard };
}

test("the four kinds of message arrive as the product's events", async () => {
  const { socket, heard } = await inRoom();
  const said = { message_id: 7, text: "hello", sent_ms: 5, user: alice };
  const messages: ServerMessage[] = [
    { type: "broadcast_notice", ...said },
    { type: "barrage_notice", ...said },
    { type: "command_notice", ...said },
    { type: "transparent_notice", message_id: 8, content: "AP8=", sent_ms: 5, user: alice },
  ];
  for (const message of messages) await socket.reply(message);
  const common = { fromUser: aliceInfo, message: "hello", sendTime: 5 };
  assert.deepEqual(heard, [
    ["IMRecvBroadcastMessage", "lobby", [{ ...common, messageID: 7 }]],
    ["IMRecvBarrageMessage", "lobby", [{ ...common, messageID: "7" }]],
    ["IMRecvCustomCommand", "lobby", aliceInfo, "hello"],
    ["recvRoomTransparentMessage", "lobby", { sendUser: aliceInfo, content: Uint8Array.of(0, 255) }],
  ]);
});

test("the four kinds of message are sent, and answered with an ID", async () => {
  const { engine, socket } = await inRoom();
  const sending = [
    engine.sendBroadcastMessage("lobby", "a"),
    engine.sendBarrageMessage("lobby", "b"),
    engine.sendCustomCommand("lobby", "c", ["alice", aliceInfo]),
    engine.sendTransparentMessage("lobby", { content: Uint8Array.of(0, 255), sendMode: 2, recvUserList: ["alice"] }),
  ];
  const types = ["broadcast", "barrage", "command", "transparent"] as const;
  assert.deepEqual(socket.last("command").to, ["alice", "alice"]);
  assert.deepEqual([socket.last("transparent").content, socket.last("transparent").mode], ["AP8=", 2]);
  for (const [index, type] of types.entries()) {
    await socket.reply({ type: "message_sent", seq: socket.last(type).seq, message_id: index, sent_ms: 0 });
    assert.deepEqual(await sending[index], { errorCode: 0, extendedData: "", messageID: index });
  }
});

test("messages that cannot be are refused here, each with its code", async () => {
  const { engine, socket } = await inRoom();
  const long = "é".repeat(513);
  for (const [send, errorCode] of [
    [() => engine.sendBroadcastMessage("lobby", ""), 1009001],
    [() => engine.sendBarrageMessage("lobby", long), 1009002],
    [() => engine.sendCustomCommand("lobby", "x", [""]), 1009011],
    [() => engine.sendCustomCommand("lobby", "x", ["u".repeat(64)]), 1009012],
    [() => engine.sendCustomCommand("lobby", "x", Array<string>(101).fill("u")), 1009013],
    [() => engine.sendTransparentMessage("lobby", { content: new Uint8Array(0) }), 1009001],
    [() => engine.sendTransparentMessage("lobby", { content: new Uint8Array(4097) }), 1009003],
    [() => engine.setRoomExtraInfo("lobby", "", "v"), 1002014],
    [() => engine.setRoomExtraInfo("lobby", "k".repeat(11), "v"), 1002015],
    [() => engine.setRoomExtraInfo("lobby", "k", "v".repeat(129)), 1002016],
    [() => engine.sendBroadcastMessage("elsewhere", "x"), 1102015],
  ] as const) {
    await assert.rejects(send(), { errorCode });
  }
  assert.deepEqual(socket.sent.map(({ type }) => type), ["login"]);
});

test("a message over the rate is told so, in the web's number, with how long to wait", async () => {
  const { engine, socket } = await inRoom();
  const sending = engine.sendBroadcastMessage("lobby", "x");
  await socket.reply({
    type: "error",
    code: 1009015,
    message: "too often",
    seq: socket.last("broadcast").seq,
    retry_after_ms: 300,
  });
  await assert.rejects(sending, { errorCode: 1109001, nativeCode: 1009015, retryAfterMs: 300 });
});

test("extra infos, online count and device states", async () => {
  const mood = { key: "mood", value: "calm", user: alice, updated_ms: 9 };
  const film = { stream_id: "film", user: alice };
  const { socket, heard } = await inRoom("t", { room_extra_info: [mood], streams: [film] });
  await socket.reply({ type: "room_extra_info", infos: [{ ...mood, value: "wild" }] });
  await socket.reply({ type: "stream_extra_info", streams: [{ ...film, extra_info: "cut" }] });
  await socket.reply({ type: "online_count", online: 12 });
  await socket.reply({ type: "device_state", stream_id: "film", camera: 10 });
  await socket.reply({ type: "device_state", stream_id: "film", camera: 10, microphone: 9 });
  await socket.reply({ type: "device_state", stream_id: "film" });
  const info = { key: "mood", value: "calm", updateUser: aliceInfo, updateTime: 9 };
  assert.deepEqual(heard, [
    ["roomExtraInfoUpdate", "lobby", [info]],
    ["roomExtraInfoUpdate", "lobby", [{ ...info, value: "wild" }]],
    ["streamExtraInfoUpdate", "lobby", [{ streamID: "film", user: aliceInfo, extraInfo: "cut" }]],
    ["roomOnlineUserCountUpdate", "lobby", 12],
    ["remoteCameraStatusUpdate", "film", "MUTE"],
    ["remoteMicStatusUpdate", "film", "MUTE"],
    ["remoteCameraStatusUpdate", "film", "OPEN"],
    ["remoteMicStatusUpdate", "film", "OPEN"],
  ]);
});

test("muting silences the tracks, tells the room, and goes with the next publish", async () => {
  const { engine, socket } = await inRoom();
  const track = { enabled: true };
  const media = { getVideoTracks: () => [track], getAudioTracks: () => [] } as unknown as MediaStream;
  engine.mutePublishStreamAudio(media, true);
  engine.startPublishingStream("mine", media, { extraInfo: "one" });
  await settle();
  const publish = socket.last("publish");
  assert.deepEqual([publish.camera, publish.microphone, publish.extra_info], [0, 10, "one"]);
  await socket.reply({ type: "publish_ok", seq: publish.seq, stream_id: "mine", answer: "go" });
  engine.mutePublishStreamVideo(media, true);
  assert.equal(track.enabled, false);
  const told = socket.last("set_device_state");
  assert.deepEqual([told.stream_id, told.camera, told.microphone], ["mine", 10, 10]);
  // While one is under way only the newest of what follows is sent.
  engine.mutePublishStreamVideo(media, false);
  void engine.enableVideoCaptureDevice(media, false);
  assert.equal(socket.count("set_device_state"), 1);
  await socket.reply({ type: "ok", seq: told.seq });
  assert.deepEqual([socket.count("set_device_state"), socket.last("set_device_state").camera], [2, 9]);
  const changing = engine.setStreamExtraInfo("mine", "two");
  await socket.reply({ type: "ok", seq: socket.last("set_stream_extra_info").seq });
  assert.deepEqual(await changing, { errorCode: 0, extendedData: "" });
  await assert.rejects(engine.setStreamExtraInfo("mine", "x".repeat(1024)), { errorCode: 1003051 });
  await assert.rejects(engine.setStreamExtraInfo("other", "x"), { errorCode: 1003053 });
});

test("a token that ends is told, and renewed by the page or by the function that makes tokens", async () => {
  const told = await inRoom("t");
  await told.socket.reply({ type: "token_will_expire", remaining_s: 30 });
  assert.deepEqual(told.heard, [["tokenWillExpire", "lobby", 30]]);
  const renewing = told.engine.renewToken("newer", "lobby");
  await settle();
  assert.equal(told.socket.last("renew_token").token, "newer");
  await told.socket.reply({ type: "ok", seq: told.socket.last("renew_token").seq });
  assert.equal(await renewing, true);
  await assert.rejects(told.engine.renewToken(""), { errorCode: 1102016 });

  let made = 0;
  const asked = await inRoom(() => `token ${String((made += 1))}`);
  assert.equal(asked.socket.last("login").token, "token 1");
  await asked.socket.reply({ type: "token_will_expire", remaining_s: 30 });
  assert.equal(asked.socket.last("renew_token").token, "token 2");
  assert.deepEqual(asked.heard, []);
  // One that does not help is told after all.
  await asked.socket.reply({ type: "error", code: 1002078, message: "expired", seq: asked.socket.last("renew_token").seq });
  assert.deepEqual(asked.heard, [["tokenWillExpire", "lobby", 30]]);
});

test("a play moves to another path by hand, and tells when it moved", async () => {
  const { engine, socket, heard } = await inRoom();
  await assert.rejects(engine.switchPlayingResource("film", 2), { errorCode: 1004011 });
  void engine.startPlayingStream("film", { resourceMode: 5, customResourceConfig: { publishing: 2 } });
  await settle();
  const play = socket.last("play");
  assert.deepEqual([play.resource_mode, play.custom], [5, { before_publish: 1, publishing: 2, after_publish: 1 }]);
  await socket.reply({ type: "play_ok", seq: play.seq, stream_id: "film", slot: 0, resource_mode: 3, video_mid: "v0" });
  assert.equal(engine.getPlayingStreamResource("film"), 0);
  const moving = engine.switchPlayingResource("film", 2);
  assert.equal(socket.last("switch_resource").resource, 2);
  await socket.reply({ type: "error", code: 1004072, message: "L3 is off", seq: socket.last("switch_resource").seq });
  await assert.rejects(moving, { errorCode: 1104038 });
  await socket.reply({ type: "resource", stream_id: "film", resource_mode: 2 });
  assert.deepEqual(heard, [["playerResourceUpdate", "film", 2]]);
  assert.equal(engine.getPlayingStreamResource("film"), 2);
});

test("a stream that moves to another slot keeps its picture until the new slot has one", async () => {
  const { engine, socket, platform } = await inRoom();
  void engine.startPlayingStream("film");
  await settle();
  const { seq } = socket.last("play");
  await socket.reply({ type: "play_ok", seq, stream_id: "film", slot: 0, resource_mode: 3, audio_mid: "a0", video_mid: "v0" });
  const [viewer] = platform.viewers;
  const [output] = platform.outputs;
  await socket.reply({ type: "play_moved", stream_id: "film", slot: 1, audio_mid: "a1", video_mid: "v1" });
  assert.deepEqual([output?.fed.get("audio"), output?.fed.get("video")], ["a1", "v0"]);
  await socket.reply({ type: "slot_bound", stream_id: "film", mid: "v1", kind: "video", rtp_timestamp: 500 });
  await platform.clock.advance(50);
  assert.equal(output?.fed.get("video"), "v0");
  viewer?.timestamps.set("v1", 500);
  await platform.clock.advance(10);
  assert.deepEqual([platform.outputs[0]?.fed.get("video"), platform.outputs[0]?.hidden], ["v1", false]);
});

test("networks are graded, told every two seconds, and reported to those who play", async () => {
  assert.deepEqual(
    [networkLevel(100, 2), networkLevel(101, 0), networkLevel(0, 20), networkLevel(2000, 60), networkLevel(2001, 0)],
    [0, 1, 2, 3, 4],
  );
  const { engine, socket, platform, heard } = await inRoom("t", { streams: [{ stream_id: "film", user: alice }] });
  void engine.startPlayingStream("film");
  engine.startPublishingStream("mine", {} as MediaStream);
  await settle();
  await socket.reply({ type: "publish_ok", seq: socket.last("publish").seq, stream_id: "mine", answer: "go" });
  await socket.reply({ type: "publisher_state", stream_id: "mine", state: 2 });
  await socket.reply({ type: "play_ok", seq: socket.last("play").seq, stream_id: "film", slot: 0, resource_mode: 3, video_mid: "v0" });
  await platform.clock.advance(2_000);
  assert.deepEqual([socket.last("report_quality").up, socket.last("report_quality").down], [5, 5]);
  assert.deepEqual([socket.last("report_quality").rtt_ms, socket.last("report_quality").lost_permille], [0, 0]);
  await platform.clock.advance(6_000);
  // From the second look at the transport on there are figures: a round trip of 40 ms, one packet of four lost.
  assert.deepEqual([socket.last("report_quality").rtt_ms, socket.last("report_quality").lost_permille], [40, 250]);
  assert.equal(socket.last("report_quality").up, 3);
  heard.length = 0;
  await socket.reply({ type: "network_quality", user_id: "alice", up: 0, down: 1 });
  await platform.clock.advance(8_000);
  // Two reports that stay away make it unknown, four dead.
  assert.deepEqual(
    heard.filter((event) => (event as unknown[])[1] === "alice"),
    [
      ["networkQuality", "alice", 0, 1],
      ["networkQuality", "alice", 5, 5],
      ["networkQuality", "alice", 4, 4],
    ],
  );
});

test("the streams of a room are asked for in parts", async () => {
  const { engine, socket } = await inRoom();
  const asking = engine.getRoomStreamList("lobby", true);
  const first = socket.last("stream_list");
  assert.deepEqual([first.own, first.after], [true, ""]);
  await socket.reply({ type: "stream_list_ok", seq: first.seq, streams: [{ stream_id: "a", user: alice }], more: true });
  const second = socket.last("stream_list");
  assert.equal(second.after, "a");
  await socket.reply({ type: "stream_list_ok", seq: second.seq, streams: [{ stream_id: "b", user: alice }] });
  assert.deepEqual((await asking).map(({ streamID }) => streamID), ["a", "b"]);
});

test("sequential data goes to who subscribed, and the subscription is renewed with the session", async () => {
  const { engine, socket, platform } = await inRoom();
  const manager = engine.createRealTimeSequentialDataManager("lobby");
  const heard: unknown[] = [];
  manager.on("receiveRealTimeSequentialData", (data, streamID) => heard.push([streamID, [...data]]));
  const subscribing = manager.startSubscribing("film");
  await socket.reply({ type: "ok", seq: socket.last("subscribe_data").seq });
  assert.equal(await subscribing, true);
  await assert.rejects(manager.startSubscribing("film"), { errorCode: 1009038 });
  await assert.rejects(manager.stopSubscribing("other"), { errorCode: 1009037 });
  await assert.rejects(manager.sendRealTimeSequentialData("mine", Uint8Array.of(1)), { errorCode: 1009036 });
  await socket.reply({ type: "data_notice", stream_id: "film", content: "AQI=" });
  assert.deepEqual(heard, [["film", [1, 2]]]);
  socket.handler.closed("reset");
  const refused = await platform.connected();
  await refused.reply({ type: "error", code: 1002057, message: "unknown", seq: refused.last("resume").seq });
  const again = await platform.connected();
  await again.reply(loginOk(again));
  assert.equal(again.last("subscribe_data").stream_id, "film");
});

test("another room is entered over the same connection", async () => {
  const { engine, socket, platform } = await inRoom();
  const states: string[] = [];
  engine.on("roomStateChanged", (roomID, reason) => states.push(`${roomID} ${reason}`));
  const switching = engine.switchRoom("lobby", "cellar", { token: "u" });
  await settle();
  const { seq, room_id, token } = socket.last("switch_room");
  assert.deepEqual([room_id, token], ["cellar", "u"]);
  await socket.reply({ ...loginOk(socket), seq });
  assert.equal(await switching, true);
  assert.deepEqual(states, ["lobby LOGOUT", "cellar LOGINING", "cellar LOGINED"]);
  assert.equal(platform.sockets.length, 1);
  const refused = engine.switchRoom("cellar", "attic");
  await settle();
  await socket.reply({ type: "error", code: 1002034, message: "full", seq: socket.last("switch_room").seq });
  await assert.rejects(refused, { errorCode: 1002034 });
  assert.equal(states.at(-1), "attic LOGIN_FAILED");
});

test("several rooms: each login names a session that goes on, one after the other", async () => {
  const platform = new FakePlatform();
  const engine = new SanderlingEngine(1, "http://127.0.0.1:7700", platform);
  assert.equal(engine.enableMultiRoom(true), true);
  const both = [engine.loginRoom("a", "t", { userID: "bob" }), engine.loginRoom("b", "t", { userID: "bob" })];
  await settle();
  const [first, second] = platform.sockets;
  first?.handler.opened();
  second?.handler.opened();
  await settle();
  assert.deepEqual([first?.count("login"), second?.count("login")], [1, 0]);
  assert.ok(first !== undefined && second !== undefined);
  await first.reply(loginOk(first));
  assert.deepEqual(second.last("login").beside, { session_id: "s", secret: "x" });
  await second.reply(loginOk(second, { session_id: "s2" }));
  assert.deepEqual(await Promise.all(both), [true, true]);
  await assert.rejects(engine.loginRoom("a", "t", { userID: "bob" }), { errorCode: 1002064 });
  await assert.rejects(engine.loginRoom("c", "t", { userID: "carol" }), { errorCode: 1002018 });
  await assert.rejects(engine.switchRoom("a", "c"), { errorCode: 1002019 });
  assert.equal(engine.enableMultiRoom(false), false);
  engine.startPublishingStream("mine", {} as MediaStream, { roomID: "b" });
  await settle();
  assert.deepEqual([first.count("publish"), second.count("publish")], [0, 1]);
});

test("data inside pictures is told when its picture shows, and none of the stream before", async () => {
  const { engine, socket, platform } = await inRoom();
  const heard: unknown[] = [];
  engine.on("playerRecvSEI", (streamID, data) => heard.push([streamID, ...data]));
  void engine.startPlayingStream("film", { isSEIStart: true });
  await settle();
  // Browsers can read pictures from a transport's beginning or never: another one is made, once.
  assert.deepEqual(platform.viewers.map(({ readsSei }) => readsSei), [false, true]);
  await socket.reply({ type: "viewer_answer", seq: socket.last("viewer_offer").seq, answer: "new" });
  const { seq } = socket.last("play");
  await socket.reply({ type: "play_ok", seq, stream_id: "film", slot: 0, resource_mode: 3, video_mid: "v0" });
  const viewer = platform.viewers[1];
  viewer?.sei.get("v0")?.(90, Uint8Array.of(1));
  viewer?.sei.get("v0")?.(100, Uint8Array.of(2));
  viewer?.timestamps.set("v0", 95);
  await socket.reply({ type: "slot_bound", stream_id: "film", mid: "v0", kind: "video", rtp_timestamp: 100 });
  await platform.clock.advance(50);
  assert.deepEqual(heard, []);
  viewer?.timestamps.set("v0", 100);
  await platform.clock.advance(10);
  assert.deepEqual(heard, [["film", 2]]);
  engine.stopPlayingStream("film");
  assert.equal(viewer?.sei.size, 0);
});

test("data is sent inside pictures of a stream that was published for it, thirty times a second", async () => {
  const { engine, socket, platform } = await inRoom();
  assert.throws(() => engine.sendSEI("mine", Uint8Array.of(1)), { errorCode: 1103001 });
  engine.startPublishingStream("mine", {} as MediaStream, { isSEIStart: true });
  await settle();
  assert.equal(engine.sendSEI("mine", Uint8Array.of(1)), false);
  await socket.reply({ type: "publish_ok", seq: socket.last("publish").seq, stream_id: "mine", answer: "go" });
  await socket.reply({ type: "publisher_state", stream_id: "mine", state: 2 });
  assert.throws(() => engine.sendSEI("mine", new Uint8Array(0)), { errorCode: 1003043 });
  assert.throws(() => engine.sendSEI("mine", new Uint8Array(4097)), { errorCode: 1003044 });
  const sent = Array.from({ length: 31 }, (_, index) => engine.sendSEI("mine", Uint8Array.of(index)));
  assert.deepEqual([sent.filter(Boolean).length, sent.at(-1)], [30, false]);
  assert.equal(platform.publishers[0]?.sei.length, 30);
  await platform.clock.advance(1_000);
  assert.equal(engine.sendSEI("mine", Uint8Array.of(1)), true);
  assert.equal(platform.publishers[0].options.sei, true);
});
