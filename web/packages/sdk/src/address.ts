/** From what a user writes in "Server" to the addresses of the signalling. */

import { SanderlingError, WebErrorCode } from "./errors.js";

/** Path of the signalling below the server's address. */
const SIGNALLING_PATH = "/ws";

/**
 * WebSocket addresses for `server`: an http(s) or ws(s) address with or without a path, or host:port, several separated
 * by "|". Without a scheme it is encrypted exactly when the page at `pageProtocol` is. 1101000 when it is none.
 */
export function signallingAddresses(server: string, pageProtocol = "http:"): string[] {
  const parts = server.split("|").map((part) => part.trim());
  const addresses = parts.filter((part) => part !== "").map((part) => signallingAddress(part, pageProtocol));
  if (addresses.length === 0) {
    throw new SanderlingError(WebErrorCode.INIT_FAILED, "no server address was given", {
      hint: "give the address that `sanderling serve` prints, for example https://live.example.org",
    });
  }
  return addresses;
}

function signallingAddress(server: string, pageProtocol: string): string {
  const scheme = pageProtocol === "https:" ? "wss" : "ws";
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(server) ? server.replace(/^http/i, "ws") : `${scheme}://${server}`;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalid(server);
  }
  if ((url.protocol !== "ws:" && url.protocol !== "wss:") || url.hostname === "") throw invalid(server);
  // Whoever puts a password into the address must not find it in logs of servers in between.
  url.username = "";
  url.password = "";
  url.search = "";
  url.hash = "";
  const path = url.pathname.replace(/\/+$/, "");
  url.pathname = path.endsWith(SIGNALLING_PATH) ? path : path + SIGNALLING_PATH;
  return url.href;
}

function invalid(server: string): SanderlingError {
  return new SanderlingError(WebErrorCode.INIT_FAILED, `"${server}" is not the address of a server`, {
    hint: "give host:port or an http(s) or ws(s) address",
  });
}
