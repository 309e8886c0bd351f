/** Data inside pictures: what goes in comes out, and pictures that carry none, or are damaged, stay as they are. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { embed, extract } from "./sei.js";

const PIECES = [Uint8Array.of(1), new Uint8Array(300).fill(0), Uint8Array.from({ length: 4096 }, (_, index) => index % 256)];
/** A picture each: VP8 has no structure that matters, H.264 one slice, AV1 a temporal delimiter and a frame. */
const PICTURES: readonly (readonly [string, Uint8Array])[] = [
  ["video/VP8", Uint8Array.of(9, 8, 7, 6)],
  ["video/H264", Uint8Array.of(0, 0, 0, 1, 0x65, 1, 2, 3)],
  ["video/AV1", Uint8Array.of(0x12, 0, 0x32, 3, 1, 2, 3)],
];

for (const [type, picture] of PICTURES) {
  test(`${type}: pieces come out as they went in`, () => {
    const carrying = embed(picture, PIECES, type);
    assert.ok(carrying.length > picture.length + 4096);
    const found = extract(carrying, type);
    assert.deepEqual(found.pieces, PIECES);
    if (type === "video/VP8") assert.deepEqual(found.picture, picture);
  });

  test(`${type}: a picture that carries nothing is left alone, and so is one that is cut`, () => {
    assert.deepEqual(extract(picture, type).pieces, []);
    const carrying = embed(picture, PIECES, type);
    for (let size = 0; size < carrying.length; size += 97) extract(carrying.subarray(0, size), type);
    assert.equal(extract(picture, type).picture, picture);
  });
}

test("a start code inside of the data does not end it", () => {
  const [, picture] = PICTURES[1] ?? ["", new Uint8Array()];
  const tricky = Uint8Array.of(0, 0, 1, 0, 0, 3, 0, 0, 0, 1, 5);
  const carrying = embed(picture, [tricky], "video/H264");
  assert.deepEqual(extract(carrying, "video/H264").pieces, [tricky]);
});

test("VP9 has no place for it", () => {
  const picture = Uint8Array.of(1, 2, 3);
  assert.equal(embed(picture, PIECES, "video/VP9"), picture);
  assert.deepEqual(extract(picture, "video/VP9").pieces, []);
});
