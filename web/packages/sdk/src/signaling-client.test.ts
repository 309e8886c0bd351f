import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { decodeClient, encode, type ServerMessage } from "@sanderling/protocol";

import { SanderlingError } from "./errors.js";
import type { ClientEvent } from "./outcomes.js";
import { LOGOUT_TIMEOUT_MS, PROBE_TIMEOUT_MS, REQUEST_TIMEOUT_MS, SILENT_HEARTBEATS, SignalingClient } from "./signaling-client.js";

const login = { app_id: 1, room_id: "lobby", user: { user_id: "bob", user_name: "Bob" }, token: "t" };
const loginOk: ServerMessage = {
  type: "login_ok",
  seq: 1,
  session_id: "s",
  server_ms: 1_700_000_000_000,
  heartbeat_ms: 1000,
  max_plays: 12,
};

function loggedIn(): SignalingClient {
  const client = new SignalingClient();
  client.login(login, 0);
  client.receive(encode(loginOk), 5);
  client.takeOutgoing();
  client.takeEvents();
  return client;
}

/** Let time pass as a timer would: everything that is due is done when it is. */
function runUntil(client: SignalingClient, end: number): void {
  for (let at = client.wakeAt(); at <= end; at = client.wakeAt()) client.handleTimeout(at);
}

function types(client: SignalingClient): string[] {
  return client.takeOutgoing().map((text) => decodeClient(text).type);
}

function codeOf(event: ClientEvent | undefined): number | undefined {
  return event !== undefined && "error" in event ? event.error?.nativeCode : undefined;
}

test("a message given before the login waits for it, one given after it follows at once", () => {
  const client = new SignalingClient();
  client.request({ type: "publish", stream_id: "a", offer: "o" }, 0);
  assert.deepEqual(types(client), []);
  client.login(login, 1);
  client.request({ type: "play", stream_id: "b" }, 2);
  assert.deepEqual(types(client), ["login", "publish", "play"]);
});

test("every message of the vectors is taken, and none of them breaks the session but those that end it", () => {
  const file = new URL("../../../../vectors/signaling/server.json", import.meta.url);
  const messages = JSON.parse(readFileSync(file, "utf8")) as ServerMessage[];
  for (const message of messages) {
    const client = loggedIn();
    client.receive(encode(message), 10);
    const ended = client.takeEvents().some(({ kind }) => kind === "ended");
    const ends = message.type === "kicked" || (message.type === "error" && (message.seq ?? 0) <= 1);
    assert.equal(ended, ends, message.type);
  }
});

test("a message that is none ends the session with 1002057", () => {
  const file = new URL("../../../../vectors/signaling/bad.json", import.meta.url);
  const bad = JSON.parse(readFileSync(file, "utf8")) as { readonly to: string; readonly text: string }[];
  const forClients = bad.filter(({ to }) => to === "client");
  assert.ok(forClients.length > 0);
  for (const { text } of forClients) {
    const client = loggedIn();
    client.receive(text, 10);
    assert.equal(codeOf(client.takeEvents().at(-1)), 1002057, text.slice(0, 60));
  }
});

test("replies find their requests, errors too", () => {
  const client = loggedIn();
  const play = client.request({ type: "play", stream_id: "a" }, 10);
  const publish = client.request({ type: "publish", stream_id: "b", offer: "o" }, 10);
  client.receive(encode({ type: "error", code: 1003028, message: "taken", seq: publish, hint: "another" }), 20);
  client.receive(encode({ type: "play_ok", seq: play, stream_id: "a", slot: 0, resource_mode: 2 }), 21);
  const [failed, replied] = client.takeEvents();
  assert.equal(codeOf(failed), 1003028);
  assert.equal(replied?.kind, "replied");
  assert.equal(replied.seq, play);
});

test("a failed login ends the session with the server's code in the web's numbers", () => {
  const client = new SignalingClient();
  client.login(login, 0);
  client.receive(encode({ type: "error", code: 1002078, message: "expired", seq: 1 }), 1);
  const events = client.takeEvents();
  assert.deepEqual(events.map(({ kind }) => kind), ["failed", "ended"]);
  const [, ended] = events;
  assert.ok(ended?.kind === "ended" && ended.error instanceof SanderlingError);
  assert.equal(ended.error.errorCode, 1102018);
  assert.equal(ended.kicked, false);
});

test("a kick says where the other login came from, and fails what was under way", () => {
  const client = loggedIn();
  client.request({ type: "play", stream_id: "a" }, 10);
  client.receive(encode({ type: "kicked", code: 1002050, message: "logged in elsewhere", origin: "192.0.2.7" }), 11);
  const events = client.takeEvents();
  assert.deepEqual(events.map(({ kind }) => kind), ["failed", "ended"]);
  const [, ended] = events;
  assert.ok(ended?.kind === "ended" && ended.kicked);
  assert.match(ended.error?.message ?? "", /192\.0\.2\.7/);
});

test("a request that is not answered fails with its own code, and the session goes on", () => {
  const client = loggedIn();
  client.request({ type: "publish", stream_id: "a", offer: "o" }, 10);
  client.handleTimeout(10 + REQUEST_TIMEOUT_MS);
  // The server was silent meanwhile: the failed publish comes first, the loss after it.
  assert.equal(codeOf(client.takeEvents()[0]), 1003001);
});

test("a login that is not answered ends with 1002031", () => {
  const client = new SignalingClient();
  client.login(login, 0);
  assert.equal(client.wakeAt(), REQUEST_TIMEOUT_MS);
  client.handleTimeout(REQUEST_TIMEOUT_MS);
  assert.equal(codeOf(client.takeEvents().at(-1)), 1002031);
});

test("heartbeats go out in time, measure the clock, and their lack ends the session", () => {
  const client = loggedIn();
  assert.equal(client.wakeAt(), 5);
  client.handleTimeout(5);
  const [beat] = client.takeOutgoing().map((text) => decodeClient(text));
  assert.ok(beat?.type === "heartbeat");
  client.receive(encode({ type: "heartbeat_ok", seq: beat.seq, client_ms: 0, server_ms: 5_000 }), 25);
  assert.deepEqual(client.clock, { serverMs: 5_000, atMs: 15, roundTripMs: 20 });
  assert.equal(client.wakeAt(), 1005);
  runUntil(client, 25 + SILENT_HEARTBEATS * 1000);
  assert.equal(codeOf(client.takeEvents().at(-1)), 1002052);
});

test("a page that slept asks before it takes the server for gone", () => {
  const client = loggedIn();
  client.handleTimeout(5);
  client.takeOutgoing();
  client.handleTimeout(60_000);
  assert.deepEqual(types(client), ["heartbeat"]);
  assert.equal(client.state, "logged_in");
  runUntil(client, 60_000 + PROBE_TIMEOUT_MS);
  assert.equal(codeOf(client.takeEvents().at(-1)), 1002052);
});

test("a newer reading of the clock counts more than a shorter round trip of long ago", () => {
  const client = loggedIn();
  for (const [at, answered, server] of [
    [5, 9, 100],
    [3_600_000, 3_600_020, 200],
  ] as const) {
    client.handleTimeout(at);
    const beat = client.takeOutgoing().map((text) => decodeClient(text)).at(-1);
    client.receive(encode({ type: "heartbeat_ok", seq: beat?.seq ?? 0, client_ms: 0, server_ms: server }), answered);
  }
  assert.equal(client.clock?.serverMs, 200);
});

test("a slower heartbeat does not spoil the reading of the clock", () => {
  const client = loggedIn();
  for (const [at, answered, server] of [
    [5, 9, 100],
    [1005, 1405, 999],
  ] as const) {
    client.handleTimeout(at);
    const [beat] = client.takeOutgoing().map((text) => decodeClient(text));
    client.receive(
      encode({ type: "heartbeat_ok", seq: beat?.seq ?? 0, client_ms: 0, server_ms: server }),
      answered,
    );
  }
  assert.equal(client.clock?.roundTripMs, 4);
});

test("a probe finds a dead connection within seconds, and a living one goes on", () => {
  const dead = loggedIn();
  dead.probe(100);
  assert.deepEqual(types(dead), ["heartbeat"]);
  runUntil(dead, 100 + PROBE_TIMEOUT_MS);
  assert.equal(codeOf(dead.takeEvents().at(-1)), 1002052);

  const living = loggedIn();
  living.probe(100);
  living.receive(encode({ type: "ok", seq: 99 }), 150);
  living.handleTimeout(100 + PROBE_TIMEOUT_MS - 1000);
  assert.deepEqual(living.takeEvents(), []);
});

test("a logout that is confirmed ends without an error", () => {
  const client = loggedIn();
  const seq = client.logout(10);
  assert.deepEqual(types(client), ["logout"]);
  client.receive(encode({ type: "ok", seq }), 11);
  const ended = client.takeEvents().at(-1);
  assert.ok(ended?.kind === "ended" && ended.error === null);
});

for (const [how, act] of [
  ["breaks", (client: SignalingClient) => { client.disconnected("closed"); }],
  ["stays silent", (client: SignalingClient) => { client.handleTimeout(10 + LOGOUT_TIMEOUT_MS); }],
] as const) {
  test(`a logout while the connection ${how} ends with 1002052: nobody confirmed it`, () => {
    const client = loggedIn();
    client.logout(10);
    act(client);
    const ended = client.takeEvents().at(-1);
    assert.ok(ended?.kind === "ended" && !ended.kicked);
    assert.equal(ended.error?.nativeCode, 1002052);
  });
}

test("nothing follows the end", () => {
  const client = loggedIn();
  client.disconnected("closed");
  client.takeEvents();
  client.receive(encode(loginOk), 20);
  client.disconnected("again");
  assert.deepEqual(client.takeEvents(), []);
  assert.equal(client.wakeAt(), Infinity);
  const seq = client.request({ type: "stop_play", stream_id: "a" }, 30);
  const [failed] = client.takeEvents();
  assert.ok(failed?.kind === "failed" && failed.seq === seq);
  assert.equal(failed.error.errorCode, 1102015);
});

test("a message too large fails alone", () => {
  const client = loggedIn();
  client.request({ type: "publish", stream_id: "a", offer: "o".repeat(300_000) }, 10);
  assert.deepEqual(types(client), []);
  assert.equal(codeOf(client.takeEvents()[0]), 1000017);
  assert.equal(client.state, "logged_in");
});
