import assert from "node:assert/strict";
import { test } from "node:test";

import type { LoginOk } from "@sanderling/protocol";

import { SanderlingEngine } from "./engine.js";
import { SanderlingError } from "./errors.js";
import { RETRY_LIMIT_MS } from "./retry.js";
import { TURN_AFTER_MS } from "./session.js";
import { FakePlatform, settle, type FakeSocket } from "./testing.js";

const media = {} as MediaStream;

interface Stage {
  readonly platform: FakePlatform;
  readonly engine: SanderlingEngine;
  readonly seen: string[];
}

function stage(server = "http://127.0.0.1:7700"): Stage {
  const platform = new FakePlatform();
  const engine = new SanderlingEngine(1, server, platform);
  const seen: string[] = [];
  engine.on("roomStateChanged", (_, reason, code) => seen.push(`room ${reason} ${String(code)}`));
  engine.on("publisherStateUpdate", ({ state, errorCode }) => seen.push(`publisher ${state} ${String(errorCode)}`));
  engine.on("playerStateUpdate", ({ state, errorCode }) => seen.push(`player ${state} ${String(errorCode)}`));
  engine.on("roomStreamUpdate", (_, update, streams) => {
    seen.push(`stream ${update} ${streams.map(({ streamID }) => streamID).join()}`);
  });
  engine.on("roomUserUpdate", (_, update, users) => {
    seen.push(`user ${update} ${users.map(({ userID }) => userID).join()}`);
  });
  return { platform, engine, seen };
}

function loginOk(socket: FakeSocket, more: Partial<LoginOk> = {}): LoginOk {
  return {
    type: "login_ok",
    seq: socket.last("login").seq,
    session_id: "s",
    server_ms: 0,
    heartbeat_ms: 10_000,
    max_plays: 12,
    viewer_answer: "answer",
    ...more,
  };
}

async function inRoom(options: { readonly userUpdate?: boolean } = {}): Promise<Stage & { readonly socket: FakeSocket }> {
  const made = stage();
  void made.engine.loginRoom("lobby", "t", { userID: "bob" }, options);
  const socket = await made.platform.connected();
  await socket.reply(loginOk(socket));
  return { ...made, socket };
}

async function playOk(socket: FakeSocket, stream: string, slot: number): Promise<void> {
  const request = socket.last("play");
  assert.equal(request.stream_id, stream);
  await socket.reply({
    type: "play_ok",
    seq: request.seq,
    stream_id: stream,
    slot,
    resource_mode: 2,
    audio_mid: `a${String(slot)}`,
    video_mid: `v${String(slot)}`,
  });
}

async function play(made: Stage & { readonly socket: FakeSocket }, stream: string, slot: number): Promise<void> {
  void made.engine.startPlayingStream(stream, { resourceMode: 2 });
  await settle();
  await playOk(made.socket, stream, slot);
}

test("the login carries the offer of a viewer with two places, and the room's contents follow it", async () => {
  const { platform, engine, seen } = stage();
  const login = engine.loginRoom("lobby", "t", { userID: "bob", userName: "Bob" }, { userUpdate: true });
  const socket = await platform.connected();
  assert.equal(socket.url, "ws://127.0.0.1:7700/ws");
  const sent = socket.last("login");
  assert.deepEqual(
    [sent.app_id, sent.room_id, sent.user, sent.token, sent.viewer_offer],
    [1, "lobby", { user_id: "bob", user_name: "Bob" }, "t", "offer of 2"],
  );
  const alice = { user_id: "alice", user_name: "Alice" };
  await socket.reply(loginOk(socket, { users: [alice], streams: [{ stream_id: "film", user: alice }] }));
  assert.equal(await login, true);
  assert.deepEqual(seen, ["room LOGINING 0", "room LOGINED 0", "user ADD alice", "stream ADD film"]);
  assert.deepEqual(platform.viewers[0]?.answers, ["answer"]);
});

test("users are not announced to somebody who did not ask", async () => {
  const { socket, seen } = await inRoom();
  await socket.reply({ type: "user_notice", update: 0, users: [{ user_id: "alice" }] });
  assert.deepEqual(seen, ["room LOGINING 0", "room LOGINED 0"]);
});

test("publishing and playing in the tick of the login follow it without waiting for its reply", async () => {
  const { platform, engine, seen } = stage();
  void engine.loginRoom("lobby", "t", { userID: "bob" });
  assert.equal(engine.startPublishingStream("mine", media, { videoCodec: "AV1" }), true);
  const playing = engine.startPlayingStream("film");
  const socket = await platform.connected();
  assert.deepEqual(
    socket.sent.map(({ type }) => type),
    ["login", "publish", "play"],
  );
  assert.equal(socket.last("publish").offer, "publish AV1");
  // The web's 0 is RTC, on the wire 3.
  assert.equal(socket.last("play").resource_mode, 3);
  await socket.reply(loginOk(socket));
  await socket.reply({ type: "publish_ok", seq: socket.last("publish").seq, stream_id: "mine", answer: "go" });
  await socket.reply({ type: "publisher_state", stream_id: "mine", state: 2 });
  await socket.reply({
    type: "play_ok",
    seq: socket.last("play").seq,
    stream_id: "film",
    slot: 0,
    resource_mode: 3,
    audio_mid: "a0",
    video_mid: "v0",
  });
  await socket.reply({ type: "player_state", stream_id: "film", state: 2 });
  assert.equal(await playing, platform.outputs[0]?.stream);
  assert.equal(platform.publishers[0]?.answer, "go");
  assert.deepEqual(seen.slice(1), [
    "publisher PUBLISH_REQUESTING 0",
    "player PLAY_REQUESTING 0",
    "room LOGINED 0",
    "publisher PUBLISHING 0",
    "player PLAYING 0",
  ]);
  assert.deepEqual([...(platform.outputs[0]?.fed ?? [])], [["audio", "a0"], ["video", "v0"]]);
  assert.equal(platform.viewers[0]?.targets.get("v0"), 0);
});

test("without a login nothing is published or played, with the code of a wrong state", async () => {
  const { engine, seen } = stage();
  assert.equal(engine.startPublishingStream("mine", media), false);
  await assert.rejects(engine.startPlayingStream("film"), { errorCode: 1102015, nativeCode: 1000002 });
  assert.deepEqual(seen, ["publisher NO_PUBLISH 1102015"]);
});

for (const [native, web] of [
  [1004072, 1104038],
  [1004003, 1104046],
  [1004010, 1004010],
] as const) {
  test(`a play refused with ${String(native)} fails with ${String(web)} and frees its place`, async () => {
    const made = await inRoom();
    const playing = made.engine.startPlayingStream("film", { resourceMode: 2 });
    await settle();
    await made.socket.reply({ type: "error", code: native, message: "no", seq: made.socket.last("play").seq });
    await assert.rejects(playing, { errorCode: web });
    assert.equal(made.seen.at(-1), `player NO_PLAY ${String(web)}`);
    await play(made, "a", 0);
    await play(made, "b", 1);
    assert.equal(made.socket.count("viewer_offer"), 0);
  });
}

test("a play that is early waits for its stream: for the notice, or a second", async () => {
  const made = await inRoom();
  const playing = made.engine.startPlayingStream("film", { resourceMode: 2 });
  await settle();
  const notThere = async (): Promise<void> => {
    await made.socket.reply({ type: "error", code: 1004002, message: "no", seq: made.socket.last("play").seq });
  };
  await notThere();
  await made.platform.clock.advance(999);
  assert.equal(made.socket.count("play"), 1);
  await made.platform.clock.advance(1);
  assert.equal(made.socket.count("play"), 2);
  await notThere();
  await made.socket.reply({ type: "stream_notice", update: 0, streams: [{ stream_id: "film", user: { user_id: "alice" } }] });
  assert.equal(made.socket.count("play"), 3);
  await playOk(made.socket, "film", 0);
  assert.equal(await playing, made.platform.outputs[0]?.stream);
  assert.deepEqual(made.seen.slice(2), ["player PLAY_REQUESTING 0", "stream ADD film"]);
});

test("a stream that never comes fails its play with 1104039", async () => {
  const made = await inRoom();
  const playing = made.engine.startPlayingStream("film");
  await settle();
  for (let minute = 0; minute <= 20; minute += 1) {
    // Each minute one request is looked at; those between are answered too.
    for (let second = 0; second < 60 && made.seen.at(-1) === "player PLAY_REQUESTING 0"; second += 1) {
      await made.socket.reply({ type: "error", code: 1004002, message: "no", seq: made.socket.last("play").seq });
      await made.platform.clock.advance(1_000);
      await made.socket.beat();
    }
  }
  await assert.rejects(playing, { errorCode: 1104039 });
  assert.equal(made.seen.at(-1), "player NO_PLAY 1104039");
});

test("the third play doubles the places first", async () => {
  const made = await inRoom();
  await play(made, "a", 0);
  await play(made, "b", 1);
  void made.engine.startPlayingStream("c");
  await settle();
  const offer = made.socket.last("viewer_offer");
  assert.equal(offer.offer, "offer of 4");
  assert.equal(made.socket.count("play"), 2);
  await made.socket.reply({ type: "viewer_answer", seq: offer.seq, answer: "more" });
  assert.equal(made.socket.last("play").stream_id, "c");
  assert.deepEqual(made.platform.viewers[0]?.answers, ["answer", "more"]);
});

test("the layer of a stream is chosen while it plays, and before", async () => {
  const made = await inRoom();
  assert.equal(await made.engine.setPlayStreamVideoType("b", 1), true);
  assert.equal(made.socket.count("set_video_type"), 0);
  await play(made, "a", 0);
  assert.equal(made.socket.last("play").video_type, 0);
  const chosen = made.engine.setPlayStreamVideoType("a", 0);
  const { seq, video_type } = made.socket.last("set_video_type");
  assert.equal(video_type, 1);
  await made.socket.reply({ type: "ok", seq });
  assert.equal(await chosen, true);
  await play(made, "b", 1);
  assert.equal(made.socket.last("play").video_type, 2);
  const refused = made.engine.setPlayStreamVideoType("b", 2);
  const last = made.socket.last("set_video_type");
  await made.socket.reply({ type: "error", code: 1004011, message: "no", seq: last.seq });
  assert.equal(await refused, false);
  await assert.rejects(made.engine.setPlayStreamVideoType("a", 7 as 0), { errorCode: 1100001 });
});

test("a place used again stays blank until the new stream's first frame", async () => {
  const made = await inRoom();
  await play(made, "a", 0);
  assert.equal(made.platform.outputs[0]?.hidden, false);
  made.engine.stopPlayingStream("a");
  await play(made, "b", 0);
  const output = made.platform.outputs[1];
  const viewer = made.platform.viewers[0];
  assert.equal(output?.hidden, true);
  // The timestamp wraps: 5 lies after 0xfffffff0.
  viewer?.timestamps.set("v0", 0xffff_0000);
  await made.socket.reply({ type: "slot_bound", stream_id: "b", mid: "v0", kind: "video", rtp_timestamp: 0xffff_fff0 });
  await made.platform.clock.advance(100);
  assert.equal(output.hidden, true);
  viewer?.timestamps.set("v0", 5);
  await made.platform.clock.advance(10);
  assert.equal(output.hidden, false);
});

test("a session that cannot be resumed is logged in anew; streams go on in the same media, and changes are told", async () => {
  const made = await inRoom({ userUpdate: true });
  const alice = { user_id: "alice" };
  await made.socket.reply({ type: "stream_notice", update: 0, streams: [{ stream_id: "film", user: alice }] });
  made.engine.startPublishingStream("mine", media);
  await settle();
  await made.socket.reply({ type: "publish_ok", seq: made.socket.last("publish").seq, stream_id: "mine", answer: "go" });
  await made.socket.reply({ type: "publisher_state", stream_id: "mine", state: 2 });
  await play(made, "film", 0);
  await made.socket.reply({ type: "player_state", stream_id: "film", state: 2 });
  made.seen.length = 0;
  made.socket.handler.closed("reset");
  await settle();
  assert.deepEqual(made.seen, ["room RECONNECTING 1100003"]);
  // Media does not need the connection: it goes on until there is another login.
  assert.deepEqual(
    [made.platform.viewers[0]?.closed, made.platform.publishers[0]?.closed, made.socket.closed],
    [false, false, true],
  );
  const socket = await made.platform.connected();
  assert.notEqual(socket, made.socket);
  assert.deepEqual(socket.sent.map(({ type }) => type), ["login"]);
  await socket.reply(
    loginOk(socket, { streams: [{ stream_id: "film", user: alice }, { stream_id: "new", user: alice }] }),
  );
  assert.deepEqual(made.seen, [
    "room RECONNECTING 1100003",
    "room RECONNECTED 0",
    "player PLAY_REQUESTING 1004020",
    "publisher PUBLISH_REQUESTING 1003020",
    "stream ADD new",
  ]);
  assert.equal(socket.last("publish").stream_id, "mine");
  await playOk(socket, "film", 0);
  await socket.reply({ type: "player_state", stream_id: "film", state: 2 });
  await socket.reply({ type: "publish_ok", seq: socket.last("publish").seq, stream_id: "mine", answer: "go" });
  await socket.reply({ type: "publisher_state", stream_id: "mine", state: 2 });
  assert.deepEqual(made.seen.slice(-2), ["player PLAYING 0", "publisher PUBLISHING 0"]);
  assert.equal(made.platform.outputs.length, 1);
  assert.equal(made.platform.outputs[0]?.fed.get("video"), "v0");
  assert.deepEqual([made.platform.viewers[0]?.closed, made.platform.publishers[0]?.closed], [true, true]);
});

test("the network coming back is not waited for", async () => {
  const made = await inRoom();
  made.socket.handler.closed("reset");
  await settle();
  made.platform.sockets[1]?.handler.closed("refused");
  await settle();
  assert.equal(made.platform.sockets.length, 2);
  made.platform.network.changed();
  await settle();
  assert.equal(made.platform.sockets.length, 3);
});

test("a server that stays away is given up after twenty minutes", async () => {
  const made = await inRoom();
  void made.engine.startPlayingStream("film");
  made.socket.handler.closed("reset");
  await settle();
  for (let second = 0; second < RETRY_LIMIT_MS / 1000 + 20; second += 1) {
    made.platform.sockets.at(-1)?.handler.closed("refused");
    await made.platform.clock.advance(1000);
  }
  assert.deepEqual(made.seen.slice(-2), ["player NO_PLAY 1104031", "room RECONNECT_FAILED 1002053"]);
  assert.equal(made.seen.filter((line) => line.startsWith("room RECONNECTING")).length, 1);
  assert.ok(made.platform.sockets.length < 150, "attempts back off");
  assert.equal(made.platform.clock.pending, 0);
  assert.equal(made.platform.watching, false);
});

test("a token that expired meanwhile ends the search", async () => {
  const made = await inRoom();
  made.socket.handler.closed("reset");
  await made.platform.clock.advance(1000);
  const socket = await made.platform.connected();
  await socket.reply({ type: "error", code: 1002078, message: "expired", seq: socket.last("login").seq });
  assert.equal(made.seen.at(-1), "room RECONNECT_FAILED 1102018");
});

test("a kick ends everything and is not retried", async () => {
  const made = await inRoom();
  await play(made, "film", 0);
  await made.socket.reply({ type: "kicked", code: 1002050, message: "elsewhere" });
  assert.deepEqual(made.seen.slice(-2), ["player NO_PLAY 1002050", "room KICKOUT 1002050"]);
  await made.platform.clock.advance(60_000);
  assert.equal(made.platform.sockets.length, 1);
});

test("a dead media connection that had worked is replaced within the session", async () => {
  const made = await inRoom();
  await play(made, "film", 0);
  await made.socket.reply({ type: "player_state", stream_id: "film", state: 2 });
  const [viewer] = made.platform.viewers;
  viewer?.handler.connected();
  viewer?.handler.failed();
  await settle();
  assert.equal(made.seen.at(-1), "player PLAY_REQUESTING 1004020");
  assert.equal(made.platform.viewers[0]?.closed, true);
  const offer = made.socket.last("viewer_offer");
  await made.socket.reply({ type: "viewer_answer", seq: offer.seq, answer: "new" });
  assert.deepEqual(made.platform.viewers[1]?.answers, ["new"]);
  // A play that overtook the offer would be bound to the dead transport.
  assert.deepEqual(made.socket.sent.slice(-2).map(({ type }) => type), ["viewer_offer", "play"]);
  assert.equal(made.socket.count("play"), 2);
  await playOk(made.socket, "film", 0);
  await made.socket.reply({ type: "player_state", stream_id: "film", state: 2 });
  assert.equal(made.seen.at(-1), "player PLAYING 0");
  assert.equal(made.platform.sockets.length, 1);
});

test("a publisher's transport that dies is replaced within the session, and the room hears nothing", async () => {
  const made = await inRoom();
  made.engine.startPublishingStream("mine", media);
  await settle();
  assert.equal(made.socket.last("publish").renew, false);
  await made.socket.reply({ type: "publish_ok", seq: made.socket.last("publish").seq, stream_id: "mine", answer: "go" });
  const first = made.platform.publishers[0];
  first?.handler.connected();
  await made.socket.reply({ type: "publisher_state", stream_id: "mine", state: 2 });
  first?.handler.failed();
  await settle();
  assert.equal(made.seen.at(-1), "publisher PUBLISH_REQUESTING 1003020");
  const renewal = made.socket.last("publish");
  assert.equal(renewal.renew, true);
  // Its goodbye would end the stream.
  assert.equal(first?.closed, false);
  await made.socket.reply({ type: "publish_ok", seq: renewal.seq, stream_id: "mine", answer: "go" });
  assert.equal(made.platform.publishers[0]?.closed, true);
  const second = made.platform.publishers[1];
  second?.handler.connected();
  assert.equal(made.seen.at(-1), "publisher PUBLISHING 0");
  assert.equal(made.socket.count("stop_publish"), 0);
});

test("a media connection that never came fails the plays, with what to check", async () => {
  const made = await inRoom();
  const playing = made.engine.startPlayingStream("film");
  await settle();
  made.platform.viewers[0]?.handler.failed();
  await assert.rejects(playing, (error) => error instanceof SanderlingError && error.errorCode === 1102023);
  assert.equal(made.platform.sockets.length, 1);
});

test("TURN servers that the server names are tried where nothing came of the direct paths, and only there", async () => {
  for (const direct of [true, false]) {
    const made = stage();
    void made.engine.loginRoom("lobby", "t", { userID: "bob" });
    made.engine.startPublishingStream("mine", media);
    const socket = await made.platform.connected();
    const turn = { urls: ["turn:192.0.2.1:3478"], username: "u", credential: "c" };
    await socket.reply(loginOk(socket, { ice_servers: [turn] }));
    await socket.reply({ type: "publish_ok", seq: socket.last("publish").seq, stream_id: "mine", answer: "go" });
    if (direct) {
      made.platform.viewers[0]?.handler.connected();
      made.platform.publishers[0]?.handler.connected();
    }
    await made.platform.clock.advance(TURN_AFTER_MS);
    const tried = direct ? [] : [turn];
    assert.deepEqual(made.platform.viewers[0]?.iceServers, tried);
    assert.equal(socket.count("viewer_offer"), tried.length);
    assert.equal(made.platform.publishers.length, 1 + tried.length);
    assert.deepEqual(made.platform.publishers.at(-1)?.iceServers, tried);
    assert.equal(socket.count("stop_publish"), tried.length);
  }
});

test("a logout stops everything, in order, and leaves no timer", async () => {
  const made = await inRoom();
  made.engine.startPublishingStream("mine", media);
  await play(made, "film", 0);
  const left = made.engine.logoutRoom("lobby");
  assert.deepEqual(
    made.socket.sent.slice(-3).map(({ type }) => type),
    ["stop_publish", "stop_play", "logout"],
  );
  await made.socket.reply({ type: "ok", seq: made.socket.last("logout").seq });
  await left;
  assert.equal(made.seen.at(-1), "room LOGOUT 0");
  assert.equal(made.socket.closed, true);
  assert.equal(made.platform.viewers[0]?.closed, true);
  assert.equal(made.platform.clock.pending, 0);
});

test("the first login that fails is told once, and tried at every address", async () => {
  const { platform, engine, seen } = stage("ws://127.0.0.1:1|ws://127.0.0.1:2/live");
  const login = engine.loginRoom("lobby", "t", { userID: "bob" });
  await settle();
  platform.sockets[0]?.handler.closed("refused");
  await settle();
  assert.equal(platform.sockets[1]?.url, "ws://127.0.0.1:2/live/ws");
  platform.sockets[1].handler.closed("refused");
  await assert.rejects(login, { errorCode: 1102013 });
  assert.deepEqual(seen, ["room LOGINING 0", "room LOGIN_FAILED 1102013"]);
});

test("a second login, a wrong AppID and a wrong address are refused", async () => {
  const { engine } = await inRoom();
  await assert.rejects(engine.loginRoom("other", "t", { userID: "bob" }), { errorCode: 1102012 });
  assert.throws(() => new SanderlingEngine(0, "ws://127.0.0.1:1"), { errorCode: 1101000 });
  for (const server of ["", "ftp://127.0.0.1", "http://"]) {
    assert.throws(() => new SanderlingEngine(1, server), { errorCode: 1101000 }, server);
  }
});

test("four streams can be published, a fifth is refused", async () => {
  const { engine, socket, seen } = await inRoom();
  for (const streamID of ["a", "b", "c", "d"]) assert.equal(engine.startPublishingStream(streamID, media), true);
  await settle();
  assert.deepEqual(
    socket.sent.flatMap((message) => (message.type === "publish" ? [message.channel] : [])),
    [0, 1, 2, 3],
  );
  assert.equal(engine.startPublishingStream("e", media), false);
  assert.equal(seen.at(-1), "publisher NO_PUBLISH 1003023");
});

test("a browser without WebRTC is told so, by the event as by the promise", async () => {
  const { platform, engine, seen } = stage();
  platform.peers.createViewer = () => {
    throw new SanderlingError(1103002, "no WebRTC");
  };
  await assert.rejects(engine.loginRoom("lobby", "t", { userID: "bob" }), { errorCode: 1103002 });
  assert.deepEqual(seen, ["room LOGINING 0", "room LOGIN_FAILED 1103002"]);
  assert.equal(platform.watching, false);
  assert.equal(platform.sockets.length, 0);
});
