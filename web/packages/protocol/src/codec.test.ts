import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { MessageError, decodeClient, decodeServer, encode } from "./codec.js";
import { CLIENT_TYPES, MAX_MESSAGE_BYTES, SERVER_TYPES, type ClientMessage, type ServerMessage } from "./messages.js";

interface Bad {
  readonly name: string;
  readonly to: "client" | "server";
  readonly text: string;
}

function vectors(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../../../vectors/signaling/${file}`, import.meta.url), "utf8"));
}

const fromClients = vectors("client.json") as ClientMessage[];
const fromServers = vectors("server.json") as ServerMessage[];

test("there is a vector for every message", () => {
  assert.deepEqual(new Set(fromClients.map((message) => message.type)), new Set(Object.keys(CLIENT_TYPES)));
  assert.deepEqual(new Set(fromServers.map((message) => message.type)), new Set(Object.keys(SERVER_TYPES)));
});

test("messages survive encoding and decoding", () => {
  for (const message of fromClients) assert.deepEqual(decodeClient(encode(message)), message);
  for (const message of fromServers) assert.deepEqual(decodeServer(encode(message)), message);
});

test("unknown fields are ignored, so that either side may be newer", () => {
  assert.equal(decodeClient('{"type":"logout","seq":1,"reason":"later"}').type, "logout");
});

for (const { name, to, text } of vectors("bad.json") as Bad[]) {
  test(`a ${to} rejects ${name}`, () => {
    assert.throws(() => (to === "server" ? decodeClient(text) : decodeServer(text)), MessageError);
  });
}

test("the size limit counts bytes, not characters", () => {
  const room = (length: number): ClientMessage => ({
    type: "publish",
    seq: 1,
    stream_id: "film",
    offer: "é".repeat(length),
  });
  assert.doesNotThrow(() => encode(room(MAX_MESSAGE_BYTES / 2 - 100)));
  assert.throws(() => encode(room(MAX_MESSAGE_BYTES / 2)), MessageError);
  assert.throws(() => decodeClient(JSON.stringify(room(MAX_MESSAGE_BYTES / 2))), MessageError);
});
