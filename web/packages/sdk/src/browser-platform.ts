/** Clock, sockets and network notices of a browser. */

import { browserPeers } from "./browser-peer.js";
import type { IceServer } from "./peer.js";
import type { NetworkHandler, Platform, Socket, SocketHandler } from "./platform.js";

/** The browser this page runs in; `iceServers` are those that the page names. */
export function browserPlatform(iceServers: () => readonly IceServer[]): Platform {
  return {
    clock: {
      now: () => performance.now(),
      after: (ms, then) => {
        const timer = setTimeout(then, ms);
        return () => {
          clearTimeout(timer);
        };
      },
    },
    peers: browserPeers(iceServers),
    openSocket,
    watchNetwork,
    random: () => Math.random(),
    description: navigator.userAgent.slice(0, 200),
  };
}

/** Networks that changed, and pages that slept: browsers freeze those in the background, timers and sockets too. */
function watchNetwork(handler: NetworkHandler): () => void {
  const changed = (): void => {
    handler.changed();
  };
  const network = (navigator as { connection?: EventTarget }).connection;
  const seen = (): void => {
    if (document.visibilityState === "visible") changed();
  };
  const hidden = ({ persisted }: PageTransitionEvent): void => {
    // A page that is kept for the way back goes on when it is shown again.
    if (!persisted) handler.leaving();
  };
  const listeners: readonly (readonly [EventTarget, string, EventListener])[] = [
    [window, "online", changed],
    [window, "offline", changed],
    [window, "pageshow", changed],
    [window, "pagehide", hidden as EventListener],
    [document, "resume", changed],
    [document, "visibilitychange", seen],
    ...(network === undefined ? [] : [[network, "change", changed] as const]),
  ];
  for (const [target, event, listener] of listeners) target.addEventListener(event, listener);
  return () => {
    for (const [target, event, listener] of listeners) target.removeEventListener(event, listener);
  };
}

function openSocket(url: string, handler: SocketHandler): Socket {
  let socket: WebSocket;
  try {
    socket = new WebSocket(url);
  } catch (error) {
    // A page that came over HTTPS may not talk to a server without TLS, for one.
    queueMicrotask(() => {
      handler.closed(error instanceof Error ? error.message : String(error));
    });
    return { send: () => undefined, close: () => undefined };
  }
  let closed = false;
  const close = (detail: string): void => {
    if (closed) return;
    closed = true;
    handler.closed(detail);
  };
  socket.addEventListener("open", () => {
    if (!closed) handler.opened();
  });
  socket.addEventListener("message", (event: MessageEvent<unknown>) => {
    // Anything but text is no message, and is refused as one.
    if (!closed) handler.received(typeof event.data === "string" ? event.data : "");
  });
  socket.addEventListener("close", ({ code, reason }) => {
    close(reason === "" ? `closed with code ${String(code)}` : reason);
  });
  return {
    send: (text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: () => {
      socket.close();
      // A network that is gone would keep the closing handshake waiting for a minute.
      close("given up");
    },
  };
}
