/** Text to messages and back, with the limits and the checks of the Python codec; both read the same vectors. */

import {
  CLIENT_TYPES,
  MAX_MESSAGE_BYTES,
  SERVER_TYPES,
  SHAPES,
  type ClientMessage,
  type ServerMessage,
} from "./messages.js";

/** Something that is not a message of this protocol; `code` is the product's 1000017. */
export class MessageError extends Error {
  readonly code = 1000017;

  constructor(message: string) {
    super(message);
    this.name = "MessageError";
  }
}

const utf8 = new TextEncoder();

/** The message as JSON; MessageError when it is larger than the protocol allows. */
export function encode(message: ClientMessage | ServerMessage): string {
  const text = JSON.stringify(message);
  checkSize(text);
  return text;
}

/** Decode what a client sent; MessageError for anything else. */
export function decodeClient(text: string): ClientMessage {
  return decode(text, CLIENT_TYPES) as ClientMessage;
}

/** Decode what a server sent; MessageError for anything else. */
export function decodeServer(text: string): ServerMessage {
  return decode(text, SERVER_TYPES) as ServerMessage;
}

function decode(text: string, types: Readonly<Record<string, string>>): unknown {
  checkSize(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new MessageError("not JSON");
  }
  if (!isObject(value)) throw new MessageError("a message is a JSON object");
  const type = value["type"];
  // An own property: a type called "constructor" must not find the prototype's.
  if (typeof type !== "string" || !Object.hasOwn(types, type)) {
    throw new MessageError(`unknown message type ${JSON.stringify(type)}`);
  }
  checkDefinition(types[type] ?? "", value, type);
  return value;
}

function checkSize(text: string): void {
  const size = text.length > MAX_MESSAGE_BYTES ? text.length : utf8.encode(text).length;
  if (size > MAX_MESSAGE_BYTES) {
    throw new MessageError(`message of ${String(size)} bytes, ${String(MAX_MESSAGE_BYTES)} allowed`);
  }
}

function checkDefinition(name: string, value: unknown, where: string): void {
  const shape = SHAPES[name];
  if (shape === undefined) throw new MessageError(`${where}: no definition ${name}`);
  if (!isObject(value)) throw new MessageError(`${where}: expected an object`);
  for (const key of shape.required) {
    if (!Object.hasOwn(value, key)) throw new MessageError(`${where}.${key} is missing`);
  }
  // Fields that this version does not know are left alone: either side may be newer.
  for (const [key, expected] of Object.entries(shape.fields)) {
    if (Object.hasOwn(value, key)) checkField(expected, value[key], `${where}.${key}`);
  }
}

function checkField(expected: string, value: unknown, where: string): void {
  if (expected.endsWith("[]")) {
    if (!Array.isArray(value)) throw new MessageError(`${where}: expected a list`);
    value.forEach((entry, index) => {
      checkField(expected.slice(0, -2), entry, `${where}[${String(index)}]`);
    });
    return;
  }
  switch (expected) {
    case "integer":
      if (!Number.isInteger(value)) throw new MessageError(`${where}: expected an integer`);
      return;
    case "number":
    case "string":
    case "boolean":
      if (typeof value !== expected) throw new MessageError(`${where}: expected a ${expected}`);
      return;
    default:
      checkDefinition(expected, value, where);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
