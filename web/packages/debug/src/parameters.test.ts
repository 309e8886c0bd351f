import assert from "node:assert/strict";
import { test } from "node:test";

import { parseLink, problemOf } from "./parameters.js";

test("a bare address gives usable fields", () => {
  const { fields, publish, autoplay } = parseLink("http://127.0.0.1:8080/debug/", "7");
  assert.deepEqual(fields, {
    appid: "",
    server: "http://127.0.0.1:8080",
    room: "0001",
    user: "web-7",
    stream: "web-7",
    token: "",
    mode: "0",
    codec: "VP8",
    simulcast: false,
  });
  assert.equal(publish, undefined);
  assert.equal(autoplay, false);
});

test("a prefix that a proxy adds belongs to the server's address", () => {
  const { fields } = parseLink("https://example.org/live/debug/?room=a#token=t", "7");
  assert.equal(fields.server, "https://example.org/live");
  assert.equal(fields.room, "a");
  assert.equal(fields.token, "t");
});

test("a full link fills everything, the fragment wins", () => {
  const link = parseLink(
    "http://h/debug/?appid=1&room=r&user=u&stream=s&mode=l3&publish=test&autoplay=1&codec=av1&simulcast=1#room=q&token=a%2Bb%3D",
    "7",
  );
  assert.deepEqual(
    [link.fields.appid, link.fields.room, link.fields.user, link.fields.stream, link.fields.token],
    ["1", "q", "u", "s", "a+b="],
  );
  assert.deepEqual([link.fields.mode, link.fields.codec, link.fields.simulcast], ["2", "AV1", true]);
  assert.equal(link.publish, "test");
  assert.equal(link.autoplay, true);
});

test("nonsense in a link falls back", () => {
  const link = parseLink("http://h/debug/?mode=9&publish=everything&codec=mjpeg&autoplay=no", "7");
  assert.deepEqual([link.fields.mode, link.fields.codec, link.publish, link.autoplay], ["0", "VP8", undefined, false]);
});

test("what is missing is said in words", () => {
  const { fields } = parseLink("http://h/debug/?appid=1&token=t", "7");
  assert.equal(problemOf(fields), "");
  assert.match(problemOf({ ...fields, appid: "" }), /AppID is missing/);
  assert.match(problemOf({ ...fields, appid: "12a" }), /AppID is a number/);
  assert.match(problemOf({ ...fields, room: "" }), /RoomID is missing/);
  assert.match(problemOf({ ...fields, user: "" }), /UserID is missing/);
});
