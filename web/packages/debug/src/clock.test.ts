import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { BAND, burn, cells, lumaOfRgba, read, rowEdge, type Luma, type Surface } from "./clock.js";

interface Vector {
  readonly name: string;
  readonly unix_ns: string;
  readonly frame: number;
  readonly cells: readonly string[];
}

const file = new URL("../../../../vectors/clock/cells.json", import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, "utf8")) as { readonly vectors: readonly Vector[] };

class Plane implements Surface {
  readonly pixels: Uint8Array;

  constructor(
    readonly width: number,
    height: number,
    background: number,
  ) {
    this.pixels = new Uint8Array(width * height).fill(background);
  }

  fill(white: boolean, x: number, y: number, width: number, height: number): void {
    for (let row = y; row < y + height; row += 1) {
      this.pixels.fill(white ? 235 : 16, row * this.width + x, row * this.width + x + width);
    }
  }

  readonly luma: Luma = (x, y) => this.pixels[y * this.width + x] ?? 0;
}

test("there are vectors", () => {
  assert.ok(vectors.length >= 5);
});

for (const vector of vectors) {
  test(`cells of ${vector.name}`, () => {
    const units = Number(BigInt(vector.unix_ns) / 100_000n);
    const drawn = cells(units, vector.frame).map((white) => (white ? "1" : "0")).join("");
    assert.equal(drawn, vector.cells.join(""));
  });
}

for (const [width, height] of [
  [160, 90],
  [320, 180],
  [641, 359],
  [720, 1280],
  [1280, 720],
] as const) {
  test(`what is burned into ${String(width)}x${String(height)} is read`, () => {
    const plane = new Plane(width, height, 90);
    burn(plane, width, height, 1_760_000_000_123.4, 65_540);
    assert.deepEqual(read(plane.luma, width, height), { unixMs: 1_760_000_000_123.4, frame: 4 });
  });
}

test("the grid lies in the band that a reader needs", () => {
  assert.ok(rowEdge(3, 720) <= 720 * BAND);
});

test("a damaged or missing clock is no time", () => {
  const plane = new Plane(320, 180, 128);
  assert.equal(read(plane.luma, 320, 180), undefined);
  burn(plane, 320, 180, 1_760_000_000_123.4, 7);
  // One cell turned over.
  const white = plane.luma(36, 12) > 128;
  plane.fill(!white, 32, 8, 8, 8);
  assert.equal(read(plane.luma, 320, 180), undefined);
});

test("washed-out colours are read", () => {
  const plane = new Plane(320, 180, 128);
  burn(plane, 320, 180, 1_760_000_000_000, 9);
  const rgba = new Uint8ClampedArray(4 * 320 * 180);
  plane.pixels.forEach((value, index) => {
    rgba.fill(100 + value / 4, 4 * index, 4 * index + 3);
  });
  assert.deepEqual(read(lumaOfRgba(rgba, 320), 320, 180), { unixMs: 1_760_000_000_000, frame: 9 });
});

test("a picture too small is refused", () => {
  assert.throws(() => read(() => 0, 159, 90), RangeError);
  assert.throws(() => {
    burn(new Plane(160, 89, 0), 160, 89, 0, 0);
  }, RangeError);
});
