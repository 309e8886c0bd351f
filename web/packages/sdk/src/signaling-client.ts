/**
 * The client's half of the signalling protocol as a state machine without sockets, timers or a clock; the twin of
 * python/sanderling/signaling/client.py. Times are milliseconds of one monotonic clock that the caller reads.
 *
 * Commands given before `login()` wait for it; those given after it follow it at once. Every command that returned a
 * `seq` ends in exactly one "replied" or "failed"; the session ends in exactly one "ended", after which nothing follows.
 *
 * A lost connection does not end a session that the server lets resume: "interrupted", then `resume()` once there is a
 * new connection, then "resumed". Requests wait meanwhile; those that the server never saw go out again under the
 * number they had, so that none is carried out twice. What was missed follows, in order.
 */

import {
  MessageError,
  decodeServer,
  encode,
  type ClientMessage,
  type ResumeOk,
  type ServerMessage,
} from "@sanderling/protocol";

import { NativeCode, SanderlingError } from "./errors.js";
import {
  timeoutCode,
  type ClientEvent,
  type ClientState,
  type ClockReading,
  type LoginCommand,
  type Reply,
  type Request,
} from "./outcomes.js";

/** Time a reply may take. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** Time the server has to confirm a logout. */
export const LOGOUT_TIMEOUT_MS = 2_000;
/** Heartbeat intervals without any message after which the server is taken for gone. */
export const SILENT_HEARTBEATS = 3;
/** Time the server has to answer a probe. Lower mistakes a slow link for a dead one; higher shows a still picture longer. */
export const PROBE_TIMEOUT_MS = 3_000;
/** Two clocks drift apart by less than this share: a newer reading with a longer round trip is the better one in time. */
const CLOCK_DRIFT = 2e-4;
/** Number of the login: lower than those of the requests that waited for it, since numbers rise on the wire. */
const LOGIN_SEQ = 1;

interface Pending {
  readonly message: ClientMessage;
  deadline: number;
}

/** One session with one server. */
export class SignalingClient {
  #state: ClientState = "new";
  #seq = LOGIN_SEQ;
  readonly #pending = new Map<number, Pending>();
  #outgoing: string[] = [];
  #events: ClientEvent[] = [];
  #heartbeatMs = 0;
  #heartbeatDue = 0;
  #lastReceived = 0;
  #probeDeadline = Infinity;
  #heartbeat: { readonly seq: number; readonly sent: number } | undefined;
  #clock: ClockReading | undefined;
  #key = { session_id: "", secret: "" };
  #resumable = false;
  #received = 0;
  #resumeSeq = 0;
  #resumeDeadline = 0;

  get state(): ClientState {
    return this.#state;
  }

  /** Proof of this session for the server; empty before the login. */
  get key(): { readonly session_id: string; readonly secret: string } {
    return this.#key;
  }

  /** The best reading of the server's clock so far. */
  get clock(): ClockReading | undefined {
    return this.#clock;
  }

  /** Send the login, then everything that waited for it; returns its seq. */
  login(command: LoginCommand, now: number): number {
    if (this.#state !== "new") throw new SanderlingError(1002001, "this session was logged in before");
    this.#state = "logging_in";
    this.#lastReceived = now;
    const waiting = [...this.#pending.values()];
    this.#post({ ...command, type: "login", seq: LOGIN_SEQ, resumable: true }, now);
    for (const request of waiting) {
      request.deadline = now + REQUEST_TIMEOUT_MS;
      this.#emitOrFail(request.message);
    }
    return LOGIN_SEQ;
  }

  /** Ask for the interrupted session on a new connection: "resumed", or "ended" with 1002057. */
  resume(now: number): void {
    if (this.#state !== "interrupted") {
      throw new SanderlingError(NativeCode.SESSION_ERROR, "this session is not interrupted");
    }
    this.#state = "resuming";
    this.#lastReceived = now;
    this.#resumeDeadline = now + REQUEST_TIMEOUT_MS;
    this.#resumeSeq = this.#next();
    this.#emit({ type: "resume", seq: this.#resumeSeq, ...this.#key, received: this.#received });
  }

  /** Send a request other than login and logout; returns its seq. */
  request(command: Request, now: number): number {
    const seq = this.#next();
    if (this.#state === "logging_out" || this.#state === "ended") {
      const error = new SanderlingError(NativeCode.NOT_LOGGED_IN, `${command.type} without a login`);
      this.#events.push({ kind: "failed", seq, error });
    } else {
      this.#post({ ...command, seq }, now);
    }
    return seq;
  }

  /** Leave the room; the reply is ok, then "ended" without an error, or with 1002052 when nobody confirmed it in time. */
  logout(now: number): number {
    const seq = this.#next();
    const message: ClientMessage = { type: "logout", seq };
    this.#pending.set(seq, { message, deadline: now + LOGOUT_TIMEOUT_MS });
    if (this.#state === "logging_in" || this.#state === "logged_in") {
      this.#state = "logging_out";
      this.#emit(message);
    } else if (this.#state === "new") {
      this.#end(null, false);
    } else if (this.#state === "interrupted" || this.#state === "resuming") {
      this.#end(unconfirmed("the connection to the server is away"), false);
    } else {
      this.#fail(seq, new SanderlingError(NativeCode.NOT_LOGGED_IN, "there is no login to end"));
    }
    return seq;
  }

  /** Ask for a sign of life now, because the network may have changed; without one the connection is lost. */
  probe(now: number): void {
    if (this.#state !== "logged_in" || this.#probeDeadline !== Infinity) return;
    this.#probeDeadline = now + PROBE_TIMEOUT_MS;
    this.#sendHeartbeat(now);
  }

  /** Take one message. One that cannot be decoded ends the session with 1002057. */
  receive(text: string, now: number): void {
    if (this.#state === "new" || this.#state === "interrupted" || this.#state === "ended") return;
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
        this.#state !== "logging_in",
      );
      return;
    }
    this.#handle(message, now);
  }

  /** The connection is gone, or could not be made; `detail` says why, where the network said. */
  disconnected(detail: string): void {
    const cause = detail === "" ? "" : `: ${detail}`;
    switch (this.#state) {
      case "interrupted":
      case "ended":
        return;
      case "logging_out":
        this.#end(unconfirmed(`the connection to the server was lost${cause}`), false);
        return;
      case "logged_in":
      case "resuming": {
        const text = `the connection to the server was lost${cause}`;
        this.#lost(new SanderlingError(NativeCode.CONNECTION_LOST, text));
        return;
      }
      case "new":
      case "logging_in": {
        const text = `the server closed the connection before the login was answered${cause}`;
        this.#end(new SanderlingError(NativeCode.LOGIN_FAILED, text), false);
      }
    }
  }

  /** Do what is due: heartbeats, overdue replies, a silent server. */
  handleTimeout(now: number): void {
    const late = now - this.wakeAt();
    if (this.#state === "resuming") {
      if (now >= this.#resumeDeadline) {
        this.#lost(new SanderlingError(NativeCode.LOGIN_TIMEOUT, "the server did not answer the resumption in time"));
      }
      return;
    }
    for (const [seq, { message, deadline }] of [...this.#pending]) {
      if (deadline > now) continue;
      if (seq === LOGIN_SEQ) {
        this.#end(new SanderlingError(NativeCode.LOGIN_TIMEOUT, "the server did not answer the login in time"), false);
        return;
      }
      if (message.type === "logout") {
        this.#end(unconfirmed("the server did not confirm the logout in time"), false);
        return;
      }
      const text = `the server did not answer ${message.type} in time`;
      this.#fail(seq, new SanderlingError(timeoutCode(message.type), text));
    }
    if (this.#state !== "logged_in" || this.#heartbeatMs <= 0) {
      if (this.#state === "logged_in" && now >= this.#probeDeadline) this.#silent();
    } else if (late >= this.#heartbeatMs) {
      // It is this page that slept, not the server: what came meanwhile is only about to be read.
      this.#probeDeadline = Infinity;
      this.probe(now);
    } else if (now >= Math.min(this.#probeDeadline, this.#lastReceived + SILENT_HEARTBEATS * this.#heartbeatMs)) {
      this.#silent();
    } else if (now >= this.#heartbeatDue) {
      this.#sendHeartbeat(now);
    }
  }

  /** When `handleTimeout` is due next; Infinity = not before something else happens. */
  wakeAt(): number {
    if (this.#state === "new" || this.#state === "interrupted" || this.#state === "ended") return Infinity;
    if (this.#state === "resuming") return this.#resumeDeadline;
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

  #next(): number {
    this.#seq += 1;
    return this.#seq;
  }

  /** Send a request, or keep it until it can be sent. */
  #post(message: ClientMessage, now: number): void {
    const sendable = this.#state === "logging_in" || this.#state === "logged_in";
    this.#pending.set(message.seq, { message, deadline: sendable ? now + REQUEST_TIMEOUT_MS : Infinity });
    if (sendable) this.#emitOrFail(message);
  }

  #emit(message: ClientMessage): void {
    this.#outgoing.push(encode(message));
  }

  #emitOrFail(message: ClientMessage): void {
    try {
      this.#emit(message);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.#fail(message.seq, new SanderlingError(error.code, error.message));
    }
  }

  #sendHeartbeat(now: number): void {
    this.#heartbeatDue = now + this.#heartbeatMs;
    const seq = this.#next();
    this.#heartbeat = { seq, sent: now };
    this.#emit({ type: "heartbeat", seq, received: this.#received });
  }

  #handle(message: ServerMessage, now: number): void {
    if (message.type === "resume_ok") {
      this.#resumed(message, now);
    } else if (message.type === "kicked") {
      const where = message.origin === undefined || message.origin === "" ? "" : ` (from ${message.origin})`;
      const why = message.custom_reason === undefined || message.custom_reason === "" ? "" : `: ${message.custom_reason}`;
      this.#end(new SanderlingError(message.code, message.message + why + where), true);
    } else if (this.#state === "resuming") {
      // Nothing else can come before the answer.
      if (message.type === "error" && [0, this.#resumeSeq].includes(message.seq ?? 0)) this.#resumeRefused(errorOf(message));
    } else if (message.type === "heartbeat_ok") {
      this.#readClock(message.seq, message.server_ms, now);
    } else if (message.type === "error" && (message.seq ?? 0) === 0) {
      const error = errorOf(message);
      if (this.#state === "logged_in") this.#lost(error);
      else this.#end(error, false);
    } else {
      // The server keeps what is counted until it knows that it arrived (docs/protocol.md section 3.4).
      if (this.#state === "logged_in") this.#received += 1;
      if (message.type === "error") this.#handleError(message);
      else if (isReply(message)) this.#handleReply(message, now);
      else this.#events.push({ kind: "noticed", notice: message });
    }
  }

  #handleError(message: Extract<ServerMessage, { readonly type: "error" }>): void {
    const error = errorOf(message);
    if (message.seq === LOGIN_SEQ) this.#end(error, false);
    else this.#fail(message.seq ?? 0, error);
  }

  #handleReply(reply: Reply, now: number): void {
    const request = this.#pending.get(reply.seq);
    if (request === undefined) return; // answered after its time was up
    this.#pending.delete(reply.seq);
    if (reply.type === "login_ok") {
      if (this.#state === "logging_in") this.#state = "logged_in";
      this.#key = { session_id: reply.session_id, secret: reply.secret ?? "" };
      this.#resumable = (reply.resume_ms ?? 0) > 0 && this.#key.secret !== "";
      this.#received = 0;
      this.#beginHeartbeats(reply.heartbeat_ms, now);
    }
    this.#events.push({ kind: "replied", seq: reply.seq, reply });
    if (request.message.type === "logout") this.#end(null, false);
  }

  #beginHeartbeats(everyMs: number, now: number): void {
    this.#heartbeatMs = Math.max(everyMs, 0);
    // The first at once: it measures the round trip and the server's clock.
    this.#heartbeatDue = now;
    this.#heartbeat = undefined;
    this.#probeDeadline = Infinity;
  }

  #resumed(reply: ResumeOk, now: number): void {
    if (this.#state !== "resuming") return;
    this.#state = "logged_in";
    this.#beginHeartbeats(reply.heartbeat_ms, now);
    this.#events.push({ kind: "resumed", reply });
    for (const [seq, request] of [...this.#pending].sort(([a], [b]) => a - b)) {
      request.deadline = now + REQUEST_TIMEOUT_MS;
      if (seq > reply.taken) this.#emitOrFail(request.message);
    }
  }

  #resumeRefused(error: SanderlingError): void {
    if (error.retryAfterMs > 0) this.#lost(error);
    else this.#end(error, false);
  }

  #readClock(seq: number, serverMs: number, now: number): void {
    if (this.#heartbeat?.seq !== seq) return;
    const roundTripMs = now - this.#heartbeat.sent;
    this.#heartbeat = undefined;
    const held = this.#clock;
    // The shortest round trip bounds the error best.
    if (held === undefined || roundTripMs <= held.roundTripMs + (now - held.atMs) * CLOCK_DRIFT) {
      this.#clock = { serverMs, atMs: now - roundTripMs / 2, roundTripMs };
    }
  }

  #silent(): void {
    this.#lost(new SanderlingError(NativeCode.CONNECTION_LOST, "the server sent no sign of life"));
  }

  /** The connection cannot be used any more; the session may be. */
  #lost(error: SanderlingError): void {
    if (!this.#resumable) {
      this.#end(error, false);
      return;
    }
    this.#state = "interrupted";
    this.#outgoing = [];
    for (const request of this.#pending.values()) request.deadline = Infinity;
    this.#events.push({ kind: "interrupted", error });
  }

  #fail(seq: number, error: SanderlingError): void {
    if (this.#pending.delete(seq)) this.#events.push({ kind: "failed", seq, error });
  }

  #end(error: SanderlingError | null, kicked: boolean): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    const why = error ?? new SanderlingError(NativeCode.NOT_LOGGED_IN, "the session was logged out");
    for (const seq of [...this.#pending.keys()]) this.#fail(seq, why);
    this.#events.push({ kind: "ended", error, kicked });
  }
}

function isReply(message: ServerMessage): message is Reply {
  return "seq" in message;
}

function errorOf(message: Extract<ServerMessage, { readonly type: "error" }>): SanderlingError {
  return new SanderlingError(message.code, message.message, {
    hint: message.hint ?? "",
    retryAfterMs: message.retry_after_ms ?? 0,
  });
}

/** A logout of which the server may not know. */
function unconfirmed(why: string): SanderlingError {
  return new SanderlingError(NativeCode.CONNECTION_LOST, why, {
    hint: "the room was left; the server finds out when its patience ends",
  });
}
