import assert from "node:assert/strict";
import { test } from "node:test";

import { fetchHealth, type Fetch } from "./health.js";

function answering(status: number, body: unknown, asked: string[] = []): Fetch {
  return (url) => {
    asked.push(url);
    return Promise.resolve({ ok: status === 200, status, json: () => Promise.resolve(body) });
  };
}

test("a healthy server reports its version and its parts", async () => {
  const asked: string[] = [];
  const health = await fetchHealth("http://127.0.0.1:8080/", answering(200, { version: "0.1.0", media: "up" }, asked));
  assert.deepEqual(asked, ["http://127.0.0.1:8080/healthz"]);
  assert.deepEqual(health, { healthy: true, version: "0.1.0", checks: new Map([["media", "up"]]) });
});

test("an unhealthy server is told from one that is not there", async () => {
  const health = await fetchHealth("http://127.0.0.1:8080", answering(503, { media: "down", storage: true }));
  assert.equal(health.healthy, false);
  assert.deepEqual([...health.checks], [["media", "down"], ["storage", "true"]]);
});

test("something else on the port is not taken for a server", async () => {
  await assert.rejects(fetchHealth("http://127.0.0.1:8080", answering(404, {})), /status 404/);
  await assert.rejects(fetchHealth("http://127.0.0.1:8080", answering(200, ["up"])), /not a Sanderling server/);
});
