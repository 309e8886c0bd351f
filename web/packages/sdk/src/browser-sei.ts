/** Encoded transforms (RTCRtpScriptTransform): where data gets into pictures and out of them. */

import { SanderlingError, WebErrorCode } from "./errors.js";

let worker: Worker | undefined;

/** Have `side` pass its pictures by our worker. The port speaks with it; 1103002 in a browser that cannot. */
export function transform(side: RTCRtpSender | RTCRtpReceiver, sends: boolean): MessagePort {
  if (!("RTCRtpScriptTransform" in globalThis)) {
    throw new SanderlingError(WebErrorCode.BROWSER_UNSUPPORTED, "this browser offers pages no encoded pictures", {
      hint: "SEI needs RTCRtpScriptTransform; publish and play without isSEIStart",
    });
  }
  worker ??= new Worker(new URL("./sei-worker.js", import.meta.url), { type: "module" });
  const { port1, port2 } = new MessageChannel();
  side.transform = new RTCRtpScriptTransform(worker, { sends, port: port2 }, [port2]);
  return port1;
}
