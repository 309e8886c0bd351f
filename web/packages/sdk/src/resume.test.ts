/** The machine's half of a resumption, and the session's: nothing lost, nothing twice (docs/protocol.md section 3.4). */

import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeClient, encode, type ClientMessage, type LoginOk, type ServerMessage } from "@sanderling/protocol";

import { SanderlingEngine } from "./engine.js";
import { SignalingClient } from "./signaling-client.js";
import { FakePlatform, settle, type FakeSocket } from "./testing.js";

const bob = { userID: "bob", userName: "Bob" };
const resumable = { session_id: "s", secret: "x", resume_ms: 90_000, server_ms: 0, heartbeat_ms: 10_000, max_plays: 12 };

function loggedIn(): SignalingClient {
  const client = new SignalingClient();
  client.login({ app_id: 1, room_id: "lobby" }, 0);
  receive(client, { type: "login_ok", seq: 1, ...resumable });
  client.takeOutgoing();
  client.takeEvents();
  return client;
}

function receive(client: SignalingClient, message: ServerMessage): void {
  client.receive(encode(message), 10);
}

function sent(client: SignalingClient): ClientMessage[] {
  return client.takeOutgoing().map((text) => decodeClient(text));
}

test("every login asks for a session that can be resumed", () => {
  const client = new SignalingClient();
  client.login({ app_id: 1, room_id: "lobby" }, 0);
  const [login] = sent(client);
  assert.ok(login?.type === "login" && login.resumable === true && login.seq === 1);
});

test("what is counted: all but the login's reply, heartbeats, resumptions and errors without a number", () => {
  const client = loggedIn();
  const seq = client.request({ type: "stop_play", stream_id: "a" }, 10);
  receive(client, { type: "ok", seq });
  receive(client, { type: "online_count", online: 3 });
  receive(client, { type: "heartbeat_ok", seq: 99, client_ms: 0, server_ms: 0 });
  receive(client, { type: "error", code: 1000017, message: "no", seq: 98 });
  client.disconnected("reset");
  client.resume(20);
  const resume = sent(client).at(-1);
  assert.ok(resume?.type === "resume");
  assert.deepEqual([resume.received, resume.session_id, resume.secret], [3, "s", "x"]);
});

test("what the server took is not sent again, what it did not is, under the same number", () => {
  const client = loggedIn();
  const taken = client.request({ type: "broadcast", text: "one" }, 10);
  const lost = client.request({ type: "broadcast", text: "two" }, 10);
  sent(client);
  client.disconnected("reset");
  const meanwhile = client.request({ type: "broadcast", text: "three" }, 15);
  assert.deepEqual(sent(client), []);
  client.resume(20);
  const [resume] = sent(client);
  assert.ok(resume?.type === "resume");
  receive(client, { type: "resume_ok", seq: resume.seq, taken, server_ms: 0, heartbeat_ms: 10_000, missed: 2 });
  assert.deepEqual(
    sent(client).map((message) => (message.type === "broadcast" ? [message.seq, message.text] : [])),
    [[lost, "two"], [meanwhile, "three"]],
  );
  // The missed follow as they would have come.
  receive(client, { type: "message_sent", seq: taken, message_id: 7, sent_ms: 0 });
  receive(client, { type: "online_count", online: 2 });
  assert.deepEqual(client.takeEvents().map(({ kind }) => kind), ["interrupted", "resumed", "replied", "noticed"]);
});

test("requests do not grow old while the connection is away", () => {
  const client = loggedIn();
  client.request({ type: "play", stream_id: "a" }, 10);
  client.disconnected("reset");
  client.takeEvents();
  assert.equal(client.wakeAt(), Infinity);
  client.handleTimeout(80_000);
  assert.deepEqual(client.takeEvents(), []);
});

test("a session that the server has no more ends with 1002057, and its requests with it", () => {
  const client = loggedIn();
  client.request({ type: "play", stream_id: "a" }, 10);
  client.disconnected("reset");
  client.resume(20);
  const resume = sent(client).at(-1);
  receive(client, { type: "error", code: 1002057, message: "unknown", seq: resume?.seq ?? 0 });
  const events = client.takeEvents();
  assert.deepEqual(events.map(({ kind }) => kind), ["interrupted", "failed", "ended"]);
});

test("a server that is too busy to resume is asked again", () => {
  const client = loggedIn();
  client.disconnected("reset");
  client.resume(20);
  const resume = sent(client).at(-1);
  receive(client, { type: "error", code: 1002073, message: "busy", seq: resume?.seq ?? 0, retry_after_ms: 700 });
  const last = client.takeEvents().at(-1);
  assert.ok(last?.kind === "interrupted" && last.error.retryAfterMs === 700);
  client.resume(1_000);
  assert.equal(sent(client).at(-1)?.type, "resume");
});

interface Stage {
  readonly platform: FakePlatform;
  readonly engine: SanderlingEngine;
  readonly socket: FakeSocket;
  readonly seen: string[];
}

async function inRoom(more: Partial<LoginOk> = {}): Promise<Stage> {
  const platform = new FakePlatform();
  const engine = new SanderlingEngine(1, "http://127.0.0.1:7700", platform);
  const seen: string[] = [];
  engine.on("roomStateChanged", (_, reason, code) => seen.push(`room ${reason} ${String(code)}`));
  engine.on("playerStateUpdate", ({ state, errorCode }) => seen.push(`player ${state} ${String(errorCode)}`));
  engine.on("publisherStateUpdate", ({ state, errorCode }) => seen.push(`publisher ${state} ${String(errorCode)}`));
  engine.on("roomStreamUpdate", (_, update, streams, why) => {
    seen.push(`stream ${update} ${streams.map(({ streamID }) => streamID).join()} ${why}`.trim());
  });
  engine.on("IMRecvBroadcastMessage", (_, [message]) => seen.push(`said ${message?.message ?? ""}`));
  void engine.loginRoom("lobby", "t", bob, { userUpdate: true });
  const socket = await platform.connected();
  await socket.reply({ type: "login_ok", seq: 1, viewer_answer: "answer", ...resumable, ...more });
  return { platform, engine, socket, seen };
}

async function playing({ engine, platform, socket }: Stage): Promise<void> {
  void engine.startPlayingStream("film");
  await settle();
  const { seq } = socket.last("play");
  await socket.reply({ type: "play_ok", seq, stream_id: "film", slot: 0, resource_mode: 2, audio_mid: "a0", video_mid: "v0" });
  await socket.reply({ type: "player_state", stream_id: "film", state: 2 });
  platform.viewers[0]?.handler.connected();
}

async function resumed({ platform }: Stage): Promise<FakeSocket> {
  const socket = await platform.connected();
  const { seq } = socket.last("resume");
  await socket.reply({ type: "resume_ok", seq, taken: seq - 1, server_ms: 0, heartbeat_ms: 10_000 });
  return socket;
}

test("a connection that is lost is made again at once; media goes on, what was missed is told once", async () => {
  const stage = await inRoom();
  await playing(stage);
  stage.seen.length = 0;
  stage.socket.handler.closed("reset");
  await settle();
  const socket = await resumed(stage);
  await socket.reply({
    type: "broadcast_notice",
    message_id: 1,
    text: "missed",
    sent_ms: 0,
    user: { user_id: "alice" },
  });
  assert.deepEqual(stage.seen, ["room RECONNECTING 1100003", "room RECONNECTED 0", "said missed"]);
  assert.equal(socket.count("play"), 0);
  assert.deepEqual(stage.platform.viewers.map(({ closed }) => closed), [false]);
  assert.equal(stage.platform.outputs[0]?.fed.get("video"), "v0");
});

test("attempts go on, each with the session's secret, until one is answered", async () => {
  const stage = await inRoom();
  stage.socket.handler.closed("reset");
  await settle();
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    assert.equal(stage.platform.sockets.length, 1 + attempt);
    stage.platform.sockets.at(-1)?.handler.closed("refused");
    await settle();
    await stage.platform.clock.advance(1_000);
  }
  const socket = await resumed(stage);
  assert.equal(socket.last("resume").secret, "x");
  assert.equal(stage.seen.at(-1), "room RECONNECTED 0");
  assert.equal(stage.seen.filter((line) => line.includes("RECONNECTING")).length, 1);
});

test("transports that are down when signalling is back are replaced without waiting", async () => {
  const stage = await inRoom();
  await playing(stage);
  stage.engine.startPublishingStream("mine", {} as MediaStream);
  await settle();
  const { seq } = stage.socket.last("publish");
  await stage.socket.reply({ type: "publish_ok", seq, stream_id: "mine", answer: "go" });
  stage.platform.publishers[0]?.handler.connected();
  await stage.socket.reply({ type: "publisher_state", stream_id: "mine", state: 2 });
  stage.platform.viewers[0]?.handler.interrupted();
  stage.platform.publishers[0]?.handler.interrupted();
  stage.socket.handler.closed("the address changed");
  await settle();
  const socket = await resumed(stage);
  assert.equal(socket.last("publish").renew, true);
  assert.equal(socket.count("viewer_offer"), 1);
  assert.deepEqual(stage.seen.slice(-2), ["publisher PUBLISH_REQUESTING 1003020", "player PLAY_REQUESTING 1004020"]);
});

test("a kick in place of the resumption ends it: nobody logs in against the other session", async () => {
  const stage = await inRoom();
  stage.socket.handler.closed("reset");
  const socket = await stage.platform.connected();
  await socket.reply({ type: "kicked", code: 1002050, message: "elsewhere", origin: "192.0.2.7:1" });
  assert.equal(stage.seen.at(-1), "room KICKOUT 1002050");
  await stage.platform.clock.advance(60_000);
  assert.equal(stage.platform.sockets.length, 2);
});

test("a server that has just started is given the time it asks for before anybody is reported gone", async () => {
  const film = { stream_id: "film", user: { user_id: "alice" } };
  const lost = { stream_id: "lost", user: { user_id: "carol" } };
  const stage = await inRoom({ streams: [film, lost] });
  stage.seen.length = 0;
  stage.socket.handler.closed("reset");
  const refused = await stage.platform.connected();
  await refused.reply({ type: "error", code: 1002057, message: "unknown", seq: refused.last("resume").seq });
  const socket = await stage.platform.connected();
  await socket.reply({ type: "login_ok", seq: 1, viewer_answer: "answer", ...resumable, settle_ms: 5_000 });
  await stage.platform.clock.advance(4_000);
  await socket.reply({ type: "stream_notice", update: 0, streams: [film] });
  await socket.beat();
  assert.deepEqual(stage.seen, ["room RECONNECTING 1100003", "room RECONNECTED 0"]);
  await stage.platform.clock.advance(1_001);
  assert.deepEqual(stage.seen.slice(2), [
    'stream DELETE lost {"stream_delete_reason":[{"stream_id":"lost","code":5}]}',
  ]);
});

test("a message that goes down with its session fails with 1009010: it may have been sent", async () => {
  const stage = await inRoom();
  const saying = stage.engine.sendBroadcastMessage("lobby", "hello");
  await settle();
  stage.socket.handler.closed("reset");
  const refused = await stage.platform.connected();
  await refused.reply({ type: "error", code: 1002057, message: "unknown", seq: refused.last("resume").seq });
  await assert.rejects(saying, { errorCode: 1009010 });
});

test("a logout while the connection is away ends at once, as one that nobody confirmed", async () => {
  const stage = await inRoom();
  stage.socket.handler.closed("reset");
  await settle();
  await stage.engine.logoutRoom("lobby");
  assert.equal(stage.seen.at(-1), "room LOGOUT_FAILED 1100003");
  assert.equal(stage.platform.clock.pending, 0);
});

test("a page that is closed for good says goodbye", async () => {
  const stage = await inRoom();
  stage.platform.network.leaving();
  assert.equal(stage.socket.sent.at(-1)?.type, "logout");
});

test("a logout before any login is a logout too", async () => {
  const engine = new SanderlingEngine(1, "http://127.0.0.1:7700", new FakePlatform());
  const seen: unknown[] = [];
  engine.on("roomStateChanged", (...args) => seen.push(args));
  await engine.logoutRoom("lobby");
  assert.deepEqual(seen, [["lobby", "LOGOUT", 0, ""]]);
});
