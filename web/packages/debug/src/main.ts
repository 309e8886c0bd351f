/** The page at /debug/: joins a room like any client, plays every stream at once, publishes, and says what happens. */

import { SanderlingEngine, checkCapabilities, fetchHealth, webCode } from "@sanderling/web";

import { Controller } from "./controller.js";
import { Form } from "./form.js";
import { Log, element } from "./page.js";
import { parseLink } from "./parameters.js";
import { Stage } from "./stage.js";

const parameters = parseLink(window.location.href, Date.now().toString(36));
const form = new Form();
const log = new Log(element("log", HTMLElement));
form.fill(parameters.fields);
explainCapture();
const stage = new Stage();
stage.explainEmpty("Not logged in", "Fill in the fields and log in; every stream of the room plays at once.");
const controller = new Controller(form, stage, log);
// For the browser's console, and for measurements: all delays of a stream, not only the median on its tile.
Object.assign(globalThis, {
  sanderlingDebug: {
    delays: (streamID: string) => controller.delays(streamID),
    playAgain: (streamID: string) => {
      controller.playAgain(streamID);
    },
    /** The SDK, to try it by hand. */
    SanderlingEngine,
    webCode,
    /** Layer of a stream published in several: 0 small, 1 big, 2 by the network. */
    setStreamType: (streamID: string, streamType: 0 | 1 | 2) => controller.setStreamType(streamID, streamType),
  },
});
void showVersion();

if (parameters.autoplay || parameters.publish !== undefined) {
  const { publish } = parameters;
  void controller.logIn().then((inside) => {
    if (inside && publish !== undefined) void controller.publish(publish);
  });
}

/** Say why the camera cannot be used, and what to run, before anybody presses the button. */
function explainCapture(): void {
  const { captureObstacle, screenSharing } = checkCapabilities();
  const note = element("capture-note", HTMLElement);
  note.hidden = captureObstacle === "";
  if (captureObstacle !== "") {
    const reason = `${captureObstacle.charAt(0).toUpperCase()}${captureObstacle.slice(1)}.`;
    element("capture-reason", HTMLElement).textContent = `Camera and screen are off: ${reason}`;
    element("publish-camera", HTMLButtonElement).dataset["unavailable"] = "true";
  }
  if (!screenSharing) element("publish-screen", HTMLButtonElement).dataset["unavailable"] = "true";
}

async function showVersion(): Promise<void> {
  const where = element("version", HTMLElement);
  try {
    const { healthy, version } = await fetchHealth(new URL("..", window.location.href).href, (url) => window.fetch(url));
    where.textContent = `Server${version === "" ? "" : ` ${version}`} ${healthy ? "up" : "reports a fault"}`;
  } catch {
    where.textContent = "The server does not answer";
  }
}
