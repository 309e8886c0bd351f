import assert from "node:assert/strict";
import { test } from "node:test";

import { UnixClock, Window } from "./statistics.js";

test("a window keeps the newest values and knows their order", () => {
  const window = new Window(5);
  assert.equal(window.quantile(0.5), undefined);
  for (const value of [100, 5, 1, 4, 2, 3]) window.add(value);
  assert.equal(window.size, 5);
  assert.equal(window.quantile(0.5), 3);
  assert.equal(window.quantile(0), 1);
  assert.equal(window.quantile(1), 5);
});

test("the Unix clock is finer than the milliseconds it is made of", () => {
  let monotonic = 0;
  const origin = 1_760_000_000_000.7;
  const clock = new UnixClock(
    () => Math.floor(origin + monotonic),
    () => (monotonic += 0.13),
  );
  for (let sample = 0; sample < 200; sample += 1) clock.sample();
  assert.ok(Math.abs(clock.at(5000) - (origin + 5000)) < 0.3);
});

test("the Unix clock follows a system clock that was set back", () => {
  let monotonic = 0;
  let origin = 1_760_000_000_000;
  const clock = new UnixClock(
    () => origin + monotonic,
    () => (monotonic += 1),
  );
  origin -= 3_600_000;
  for (let sample = 0; sample < 240; sample += 1) clock.sample();
  assert.ok(Math.abs(clock.at(0) - origin) <= 1);
});
