/** Whether a server is up, as it says itself at `/healthz`. */

/** What a server answered; `checks` are the parts it reports on, by name. */
export interface Health {
  readonly healthy: boolean;
  readonly version: string;
  readonly checks: ReadonlyMap<string, string>;
}

/** The one part of `fetch` that is used, so that a test can answer in its place. */
export type Fetch = (
  url: string,
) => Promise<{ readonly ok: boolean; readonly status: number; json(): Promise<unknown> }>;

/**
 * Ask the server at `base` (for example "http://127.0.0.1:8080") for its health.
 * Rejects when there is no server, or when what answers is not one of ours.
 */
export async function fetchHealth(base: string, fetch: Fetch): Promise<Health> {
  const response = await fetch(`${base.replace(/\/+$/, "")}/healthz`);
  // 503 is an answer too: up, and saying that a part of it is not.
  if (!response.ok && response.status !== 503) {
    throw new Error(`the server answered /healthz with status ${String(response.status)}`);
  }
  const body = await response.json();
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Error("what answered /healthz is not a Sanderling server");
  }
  const fields = new Map(Object.entries(body as Record<string, unknown>));
  const version = fields.get("version");
  fields.delete("version");
  const checks = new Map([...fields].map(([name, value]) => [name, describe(value)]));
  return { healthy: response.ok, version: typeof version === "string" ? version : "", checks };
}

function describe(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
