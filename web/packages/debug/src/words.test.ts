import assert from "node:assert/strict";
import { test } from "node:test";

import { errorSentence } from "./words.js";

test("an error has its code, the server's words and advice", () => {
  assert.equal(
    errorSentence(1104039, "stream film is not there."),
    "1104039: stream film is not there. The stream is not being published in this room.",
  );
});

test("the server's own hint is not said twice", () => {
  assert.equal(
    errorSentence(1104038, "L3 is off (switch it on)"),
    "1104038: L3 is off (switch it on).",
  );
});

test("an error without words is still a sentence", () => {
  assert.equal(errorSentence(1003999, ""), "1003999: no further words.");
});
