export { MessageError, decodeClient, decodeServer, encode } from "./codec.js";
export * from "./messages.js";
