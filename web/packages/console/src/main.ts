/** The page at /console/: one sentence on the server that served it. */

import { fetchHealth } from "@sanderling/web";

async function sentence(): Promise<string> {
  try {
    const { healthy, version } = await fetchHealth(window.location.origin, (url) => window.fetch(url));
    return `${healthy ? "The server is up" : "The server reports a fault"}${version === "" ? "" : `, version ${version}`}.`;
  } catch (error) {
    return `The server does not answer: ${error instanceof Error ? error.message : String(error)}`;
  }
}

const status = document.getElementById("status");
if (status !== null) status.textContent = await sentence();
