/**
 * The client's half of the signalling protocol as a state machine without sockets, timers or a clock; the twin of
 * python/sanderling/signaling/client.py. Times are milliseconds of one monotonic clock that the caller reads.
 *
 * Commands given before `login()` wait for it; those given after it follow it at once. Every command that returned a
 * `seq` ends in exactly one "replied" or "failed"; the session ends in exactly one "ended", after which nothing follows.
 */

import { MessageError, decodeServer, encode, type ClientMessage, type ServerMessage } from "@sanderling/protocol";

import { NativeCode, SanderlingError } from "./errors.js";

/** Time a reply may take. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** Heartbeat intervals without any message after which the server is taken for gone. */
export const SILENT_HEARTBEATS = 3;
/** Time the server has to answer a probe. Lower mistakes a slow link for a dead one; higher shows a still picture longer. */
export const PROBE_TIMEOUT_MS = 3_000;

type Message<T extends ServerMessage["type"]> = Extract<ServerMessage, { readonly type: T }>;

/** A message that answers a request. */
export type Reply = Message<"login_ok" | "ok" | "publish_ok" | "play_ok" | "viewer_answer" | "heartbeat_ok">;

/** A message that nobody asked for. */
export type Notice = Message<"user_notice" | "stream_notice" | "publisher_state" | "player_state" | "slot_bound">;

/** What the machine reports. */
export type ClientEvent =
  | { readonly kind: "replied"; readonly seq: number; readonly reply: Reply }
  | { readonly kind: "failed"; readonly seq: number; readonly error: SanderlingError }
  | { readonly kind: "noticed"; readonly notice: Notice }
  | { readonly kind: "ended"; readonly error: SanderlingError | null; readonly kicked: boolean };

/** Where the session stands. */
export type ClientState = "new" | "logging_in" | "logged_in" | "logging_out" | "ended";

/** What a request says, without its type-independent `seq`. */
export type Command =
  ClientMessage extends infer M ? (M extends { readonly seq: number } ? Omit<M, "seq"> : never) : never;

interface Pending {
  readonly code: number;
  readonly what: string;
  deadline: number;
}

const TIMEOUT_CODES: Readonly<Record<string, number>> = {
  login: NativeCode.LOGIN_TIMEOUT,
  logout: NativeCode.LOGIN_TIMEOUT,
  publish: NativeCode.PUBLISH_FAILED,
  stop_publish: NativeCode.PUBLISH_FAILED,
};

/** One session with one server. */
export class SignalingClient {
  #state: ClientState = "new";
  #seq = 0;
  #loginSeq = 0;
  readonly #pending = new Map<number, Pending>();
  #waiting: ClientMessage[] = [];
  #outgoing: string[] = [];
  #events: ClientEvent[] = [];
  #heartbeatMs = 0;
  #heartbeatDue = 0;
  #lastReceived = 0;
  #probeDeadline = Infinity;
  #heartbeat: { readonly seq: number; readonly sent: number } | undefined;
  #clock: ClockReading | undefined;

  get state(): ClientState {
    return this.#state;
  }

  /** The heartbeat with the shortest round trip so far, as a reading of the server's clock. */
  get clock(): ClockReading | undefined {
    return this.#clock;
  }

  /** Send the login, then everything that waited for it; returns its seq. */
  login(command: Omit<Extract<Command, { readonly type: "login" }>, "type">, now: number): number {
    if (this.#state !== "new") throw new SanderlingError(1002001, "this session was logged in before");
    this.#state = "logging_in";
    this.#lastReceived = now;
    const seq = (this.#loginSeq = this.#next("login", now));
    this.#emit({ ...command, type: "login", seq });
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const message of waiting) {
      const pending = this.#pending.get(message.seq);
      if (pending !== undefined) pending.deadline = now + REQUEST_TIMEOUT_MS;
      this.#emit(message);
    }
    return seq;
  }

  /** Send a request other than login and logout; returns its seq. */
  request(command: Exclude<Command, { readonly type: "login" | "logout" | "heartbeat" }>, now: number): number {
    const seq = this.#next(command.type, now);
    const message = { ...command, seq };
    const pending = this.#pending.get(seq);
    if (this.#state === "new") {
      if (pending !== undefined) pending.deadline = Infinity;
      this.#waiting.push(message);
    } else if (this.#state === "logging_in" || this.#state === "logged_in") {
      try {
        this.#emit(message);
      } catch (error) {
        if (!(error instanceof MessageError)) throw error;
        this.#fail(seq, new SanderlingError(error.code, error.message));
      }
    } else {
      this.#fail(seq, new SanderlingError(NativeCode.NOT_LOGGED_IN, `${command.type} without a login`));
    }
    return seq;
  }

  /** Leave the room; the reply is ok, then "ended" without an error. */
  logout(now: number): number {
    const seq = this.#next("logout", now);
    if (this.#state === "logging_in" || this.#state === "logged_in") {
      this.#state = "logging_out";
      this.#emit({ type: "logout", seq });
    } else if (this.#state === "new") {
      this.#failAll(new SanderlingError(NativeCode.NOT_LOGGED_IN, "logged out before the login was sent"));
      this.#end(null, false);
    } else {
      this.#fail(seq, new SanderlingError(NativeCode.NOT_LOGGED_IN, "there is no login to end"));
    }
    return seq;
  }

  /** Ask for a sign of life now, because the network may have changed; without one the session is lost. */
  probe(now: number): void {
    if (this.#state !== "logged_in" || this.#probeDeadline !== Infinity) return;
    this.#probeDeadline = now + PROBE_TIMEOUT_MS;
    this.#sendHeartbeat(now);
  }

  /** Take one message. One that cannot be decoded ends the session with 1002057. */
  receive(text: string, now: number): void {
    if (this.#state === "new" || this.#state === "ended") return;
    this.#lastReceived = now;
    this.#probeDeadline = Infinity;
    let message: ServerMessage;
    try {
      message = decodeServer(text);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#end(
        new SanderlingError(NativeCode.SESSION_ERROR, `the server sent something that is not a message: ${why}`, {
          hint: "check that the address names a Sanderling server of this protocol version",
        }),
        false,
      );
      return;
    }
    this.#handle(message, now);
  }

  /** The connection is gone; `detail` says why, where the network said. */
  disconnected(detail: string): void {
    if (this.#state === "logging_out") {
      this.#end(null, false);
      return;
    }
    const lost = this.#state === "logged_in";
    const text = lost
      ? "the connection to the server was lost"
      : "the server closed the connection before the login was answered";
    const code = lost ? NativeCode.CONNECTION_LOST : NativeCode.LOGIN_FAILED;
    this.#end(new SanderlingError(code, detail === "" ? text : `${text}: ${detail}`), false);
  }

  /** Do what is due: heartbeats, overdue replies, a silent server. */
  handleTimeout(now: number): void {
    for (const [seq, { code, what, deadline }] of [...this.#pending]) {
      if (deadline > now) continue;
      if (what === "login") {
        this.#end(new SanderlingError(code, "the server did not answer the login in time"), false);
        return;
      }
      if (what === "logout") {
        this.#end(null, false);
        return;
      }
      this.#fail(seq, new SanderlingError(code, `the server did not answer ${what} in time`));
    }
    if (this.#state !== "logged_in") return;
    const silent = this.#heartbeatMs > 0 && now - this.#lastReceived >= SILENT_HEARTBEATS * this.#heartbeatMs;
    if (silent || now >= this.#probeDeadline) {
      this.#end(new SanderlingError(NativeCode.CONNECTION_LOST, "the server sent no sign of life"), false);
    } else if (this.#heartbeatMs > 0 && now >= this.#heartbeatDue) {
      this.#sendHeartbeat(now);
    }
  }

  /** When `handleTimeout` is due next; Infinity = not before something else happens. */
  wakeAt(): number {
    if (this.#state === "new" || this.#state === "ended") return Infinity;
    const due = [...this.#pending.values()].map(({ deadline }) => deadline);
    if (this.#state === "logged_in") {
      due.push(this.#probeDeadline);
      if (this.#heartbeatMs > 0) {
        due.push(this.#heartbeatDue, this.#lastReceived + SILENT_HEARTBEATS * this.#heartbeatMs);
      }
    }
    return Math.min(Infinity, ...due);
  }

  /** Messages to send now, oldest first. */
  takeOutgoing(): string[] {
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    return outgoing;
  }

  /** What happened since the last call, oldest first. */
  takeEvents(): ClientEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #next(what: string, now: number): number {
    this.#seq += 1;
    const code = TIMEOUT_CODES[what] ?? NativeCode.PLAY_FAILED;
    this.#pending.set(this.#seq, { code, what, deadline: now + REQUEST_TIMEOUT_MS });
    return this.#seq;
  }

  #emit(message: ClientMessage): void {
    this.#outgoing.push(encode(message));
  }

  #sendHeartbeat(now: number): void {
    this.#heartbeatDue = now + this.#heartbeatMs;
    this.#seq += 1;
    this.#heartbeat = { seq: this.#seq, sent: now };
    this.#emit({ type: "heartbeat", seq: this.#seq });
  }

  #handle(message: ServerMessage, now: number): void {
    switch (message.type) {
      case "error": {
        const error = new SanderlingError(message.code, message.message, {
          hint: message.hint ?? "",
          retryAfterMs: message.retry_after_ms ?? 0,
        });
        const seq = message.seq ?? 0;
        if (seq === 0 || seq === this.#loginSeq) this.#end(error, seq === 0);
        else this.#fail(seq, error);
        return;
      }
      case "kicked": {
        const where = message.origin === undefined || message.origin === "" ? "" : ` (from ${message.origin})`;
        this.#end(new SanderlingError(message.code, message.message + where), true);
        return;
      }
      case "heartbeat_ok":
        this.#readClock(message.seq, message.server_ms, now);
        return;
      case "user_notice":
      case "stream_notice":
      case "publisher_state":
      case "player_state":
      case "slot_bound":
        if (this.#state === "logging_in" || this.#state === "logged_in") {
          this.#events.push({ kind: "noticed", notice: message });
        }
        return;
      case "login_ok":
      case "ok":
      case "publish_ok":
      case "play_ok":
      case "viewer_answer":
        this.#handleReply(message, now);
        return;
      default: // Of requests that this client does not make, and of matters that it has no use for.
    }
  }

  #handleReply(reply: Reply, now: number): void {
    const request = this.#pending.get(reply.seq);
    if (request === undefined) return; // answered after its time was up
    this.#pending.delete(reply.seq);
    if (reply.type === "login_ok") {
      if (this.#state === "logging_in") this.#state = "logged_in";
      this.#heartbeatMs = Math.max(reply.heartbeat_ms, 0);
      // The first at once: it measures the round trip and the server's clock.
      this.#heartbeatDue = now;
    }
    this.#events.push({ kind: "replied", seq: reply.seq, reply });
    if (request.what === "logout") this.#end(null, false);
  }

  #readClock(seq: number, serverMs: number, now: number): void {
    if (this.#heartbeat?.seq !== seq) return;
    const roundTripMs = now - this.#heartbeat.sent;
    this.#heartbeat = undefined;
    // The shortest round trip bounds the error best.
    if (this.#clock === undefined || roundTripMs <= this.#clock.roundTripMs) {
      this.#clock = { serverMs, atMs: now - roundTripMs / 2, roundTripMs };
    }
  }

  #fail(seq: number, error: SanderlingError): void {
    if (this.#pending.delete(seq)) this.#events.push({ kind: "failed", seq, error });
  }

  #failAll(error: SanderlingError): void {
    for (const seq of [...this.#pending.keys()]) this.#fail(seq, error);
  }

  #end(error: SanderlingError | null, kicked: boolean): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#waiting = [];
    this.#failAll(error ?? new SanderlingError(NativeCode.NOT_LOGGED_IN, "the session was logged out"));
    this.#events.push({ kind: "ended", error, kicked });
  }
}

/** The server's Unix time `serverMs` was read at `atMs` of the caller's clock, give or take half of `roundTripMs`. */
export interface ClockReading {
  readonly serverMs: number;
  readonly atMs: number;
  readonly roundTripMs: number;
}
