/** The page at /debug/: the version and health of the server that served it, asked again every two seconds. */

import { fetchHealth, type Health } from "@sanderling/web";

const INTERVAL_MS = 2000;

const status = element("status");
const checks = element("checks");

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element "${id}"`);
  return found;
}

function row(name: string, state: string): HTMLTableRowElement {
  const line = document.createElement("tr");
  for (const text of [name, state]) {
    const cell = document.createElement("td");
    // Text, never markup: what a server says is shown, not interpreted.
    cell.textContent = text;
    line.append(cell);
  }
  return line;
}

function show(health: Health): void {
  const version = health.version === "" ? "" : ` (version ${health.version})`;
  status.textContent = health.healthy ? `The server is up${version}.` : `The server reports a fault${version}.`;
  checks.querySelector("tbody")?.replaceChildren(...[...health.checks].map(([name, state]) => row(name, state)));
  checks.hidden = health.checks.size === 0;
}

async function ask(): Promise<void> {
  try {
    show(await fetchHealth(window.location.origin, (url) => window.fetch(url)));
  } catch (error) {
    status.textContent = `The server does not answer: ${error instanceof Error ? error.message : String(error)}`;
    checks.hidden = true;
  }
  window.setTimeout(() => void ask(), INTERVAL_MS);
}

void ask();
