export { fetchHealth, type Fetch, type Health } from "./health.js";
export { MessageError, PROTOCOL_VERSION, decodeServer, encode } from "@sanderling/protocol";
