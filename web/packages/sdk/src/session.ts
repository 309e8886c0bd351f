/**
 * The network side of a room: signalling, the viewer transport, requests and their replies. One session of the SDK
 * outlives the server's: a lost connection is made again and the session resumed, and when the server has forgotten it
 * there is a new login, until the time for it is over. The twin of python/sanderling/sdk/session.py.
 */

import type { IceServer as NamedServer, LoginOk, SessionKey } from "@sanderling/protocol";

import { Connection } from "./connection.js";
import { deferred, type Deferred } from "./deferred.js";
import { NativeCode, SanderlingError, WebErrorCode, asError } from "./errors.js";
import type { ClientEvent, ClockReading, LoginCommand, Notice, Reply, Request } from "./outcomes.js";
import type { IceServer } from "./peer.js";
import type { Platform } from "./platform.js";
import { Backoff, RETRY_LIMIT_MS, isPassing } from "./retry.js";
import { SignalingClient } from "./signaling-client.js";
import { Viewing } from "./viewer.js";

/** Time for a connection while attempts are frequent: a lost request to connect is repeated ever more rarely. */
const EAGER_CONNECT_MS = 3_000;

/** Time for a direct path before TURN servers are tried. Lower uses them more than needed, higher keeps the first
 * picture waiting where only they work. */
export const TURN_AFTER_MS = 1_500;

/** How a session ended: `error` null after a confirmed logout. */
export interface SessionEnd {
  readonly error: SanderlingError | null;
  readonly kicked: boolean;
}

/** Who is told what happens in a session, and is asked what a login needs. */
export interface SessionOwner {
  /** The login, without the viewer's offer; asked anew for every login. */
  credentials(): Promise<Omit<LoginCommand, "viewer_offer">>;
  /** How many streams are played. */
  slotsNeeded(): number;
  loggedIn(reply: LoginOk): void;
  /** Back by a new login: the server holds nothing of what was published and played. */
  loggedInAgain(reply: LoginOk): void;
  /** The connection is away; attempts to bring it back have begun. */
  interrupted(error: SanderlingError): void;
  /** It is back, and nothing was lost. */
  resumed(): void;
  /** The server accepted the change to another room. */
  switched(reply: LoginOk): void;
  noticed(notice: Notice): void;
  /** The viewer transport is gone; another one is being made. */
  viewerLost(): void;
  /** Nothing can be played any more. */
  viewerFailed(error: SanderlingError): void;
  /** No direct path was found in time: try TURN servers. */
  turnNeeded(): void;
  /** It is over, once, for whatever reason. */
  ended(end: SessionEnd): void;
}

interface Waiter {
  resolve(reply: Reply): void;
  reject(error: SanderlingError): void;
}

/** One membership of one room. */
export class Session {
  readonly viewing: Viewing;
  readonly #platform: Platform;
  readonly #addresses: readonly string[];
  readonly #owner: SessionOwner;
  readonly #waiters = new Map<number, Waiter>();
  readonly #sleeps = new Set<() => void>();
  #client = new SignalingClient();
  #connection: Connection | undefined;
  #address = 0;
  #iceServers: readonly NamedServer[] = [];
  #clock: ClockReading | undefined;
  #online = deferred<undefined>();
  #interruption: Deferred<SanderlingError> = deferred();
  #attempt: Deferred<undefined> | undefined;
  #wasIn = false;
  #up = false;
  #over = false;
  #leaving = false;
  #replacing = false;
  #cancelTurn: (() => void) | undefined;

  constructor(platform: Platform, addresses: readonly string[], owner: SessionOwner) {
    this.#platform = platform;
    this.#addresses = addresses;
    this.#owner = owner;
    this.#online.resolve(undefined); // requests before the first login wait in the machine
    this.viewing = new Viewing({
      peers: platform.peers,
      iceServers: () => this.iceServers,
      exchange: async (offer) => (await this.request({ type: "viewer_offer", offer }, "viewer_answer")).answer,
      doubted: () => {
        this.doubt();
      },
      lost: () => {
        owner.viewerLost();
        void this.#replaceViewer();
      },
      failed: (error) => {
        owner.viewerFailed(error);
      },
    });
  }

  /** TURN servers that the server named. */
  get iceServers(): readonly IceServer[] {
    return this.#iceServers.map(({ urls, username, credential }) => ({
      urls,
      username: username ?? "",
      credential: credential ?? "",
    }));
  }

  get over(): boolean {
    return this.#over;
  }

  /** Whether requests reach the server now. */
  get isOnline(): boolean {
    return this.#up && !this.#over;
  }

  /** Proof of the server's session, for a login beside it; empty while there is none. */
  get key(): SessionKey {
    return this.isOnline ? this.#client.key : {};
  }

  /** The server's clock, once a heartbeat came back. */
  get clock(): ClockReading | undefined {
    return this.#client.clock ?? this.#clock;
  }

  /** Resolves when requests reach the server, at once before the first login; rejects when they never will. */
  async online(): Promise<void> {
    await this.#online.promise;
  }

  // ---------------------------------------------------------------------------------------------------- life

  /** Connect, make the viewer transport and log in, all at once; then bring back what is lost. */
  async run(): Promise<void> {
    try {
      await this.#logInFirst();
      while (!this.#over) {
        const error = await this.#interruption.promise;
        this.#interruption = deferred();
        await this.#comeBack(error);
      }
    } catch (thrown) {
      this.end({ error: asError(thrown, NativeCode.LOGIN_FAILED), kicked: false });
    }
  }

  /** Tell the server and end, at the latest when it did not confirm in time. */
  logout(): void {
    if (this.#over) return;
    this.#leaving = true;
    this.#client.logout(this.#now());
    this.#connection?.flush();
    // Between two sessions, or before the connection is there, nobody reads what the machine reports.
    for (const event of this.#client.takeEvents()) this.#handle(this.#client, event);
  }

  /** It is over; the first call counts. */
  end(end: SessionEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#up = false;
    const gone = end.error ?? new SanderlingError(NativeCode.NOT_LOGGED_IN, "the room was left");
    this.#online.reject(gone);
    this.#online = deferred();
    this.#online.reject(gone);
    this.#cancelTurn?.();
    for (const wake of [...this.#sleeps]) wake();
    this.viewing.close(gone);
    this.#connection?.abort();
    for (const waiter of [...this.#waiters.values()]) waiter.reject(gone);
    this.#waiters.clear();
    this.#owner.ended(end);
  }

  /** The network changed, or the page came back: try at once what is waited for, or see whether the server is there. */
  hurry(): void {
    for (const wake of [...this.#sleeps]) wake();
    this.doubt();
  }

  /** Media has been silent for a while: see whether signalling still gets through, in case the address changed. */
  doubt(): void {
    if (!this.isOnline) return;
    this.#client.probe(this.#now());
    this.#connection?.flush();
  }

  // ------------------------------------------------------------------------------------------------ requests

  /**
   * Send a request and return its reply. One that is under way when the connection is lost waits for the resumption;
   * when the session cannot be resumed it fails with a code for which `isPassing` is true.
   */
  request<T extends Reply["type"]>(command: Request, type: T): Promise<Extract<Reply, { readonly type: T }>> {
    return new Promise((resolve, reject) => {
      if (this.#over) {
        reject(new SanderlingError(NativeCode.NOT_LOGGED_IN, "the room was left"));
        return;
      }
      const seq = this.#client.request(command, this.#now());
      this.#waiters.set(seq, {
        resolve: (reply) => {
          if (reply.type === type) resolve(reply as Extract<Reply, { readonly type: T }>);
          else reject(new SanderlingError(NativeCode.SESSION_ERROR, `the server answered ${reply.type}, not ${type}`));
        },
        reject,
      });
      this.#connection?.flush();
    });
  }

  /** Send a request whose reply changes nothing any more. */
  post(command: Request): void {
    this.request(command, "ok").catch(() => undefined);
  }

  // ---------------------------------------------------------------------------------------------- connection

  #now(): number {
    return this.#platform.clock.now();
  }

  #connect(timeoutMs?: number): Connection {
    this.#connection?.abort();
    const client = this.#client;
    const address = this.#addresses[this.#address % this.#addresses.length] ?? "";
    return (this.#connection = new Connection(
      this.#platform,
      address,
      client,
      (event) => {
        this.#handle(client, event);
      },
      timeoutMs,
    ));
  }

  /** Once at every address: a wrong address or token should be seen. */
  async #logInFirst(): Promise<void> {
    for (;;) {
      try {
        await this.#logIn();
        return;
      } catch (thrown) {
        const error = asError(thrown, NativeCode.LOGIN_FAILED);
        this.#address += 1;
        if (this.#over || !isPassing(error) || this.#address >= this.#addresses.length) throw error;
      }
    }
  }

  /** Resume or log in again, until it succeeds, is refused for good, or the time for it is up. */
  async #comeBack(cause: SanderlingError): Promise<void> {
    let error = cause;
    const backoff = new Backoff(RETRY_LIMIT_MS, this.#now(), () => this.#platform.random());
    while (!this.#over) {
      await this.#sleep(backoff.next(this.#now(), error.retryAfterMs));
      if (this.#isOver()) return;
      try {
        await this.#renew(backoff.eager(this.#now()) ? EAGER_CONNECT_MS : undefined);
        return;
      } catch (thrown) {
        error = asError(thrown, WebErrorCode.MEDIA_CONNECT_FAILED);
      }
      if (!isPassing(error)) throw error;
      this.#address += 1;
      if (backoff.over(this.#now())) {
        throw new SanderlingError(
          NativeCode.RETRY_TIME_EXCEEDED,
          `the connection could not be made again; the last attempt: ${error.message}`,
          { hint: "check the network; log in again" },
        );
      }
    }
  }

  /** One attempt: the session on a new connection, or a new session when the server has none for it. */
  async #renew(timeoutMs: number | undefined): Promise<void> {
    if (this.#client.state === "interrupted") {
      const connection = this.#connect(timeoutMs);
      await connection.opened;
      const attempt = (this.#attempt = deferred());
      try {
        this.#client.resume(this.#now());
        connection.flush();
        await attempt.promise;
        return;
      } catch (thrown) {
        if (!(thrown instanceof SanderlingError) || thrown.nativeCode !== NativeCode.SESSION_ERROR) throw thrown;
      } finally {
        this.#attempt = undefined;
      }
    }
    const connection = this.#connect(timeoutMs);
    await connection.opened;
    await this.#logIn(connection);
  }

  async #logIn(made?: Connection): Promise<void> {
    const offering = this.viewing.begin(this.#owner.slotsNeeded());
    const connection = made ?? this.#connect();
    const [offer, credentials] = await Promise.all([offering, this.#owner.credentials(), connection.opened]);
    if (this.#over) return;
    const attempt = (this.#attempt = deferred<undefined>());
    try {
      this.#client.login({ ...credentials, viewer_offer: offer }, this.#now());
      connection.flush();
      await attempt.promise;
    } finally {
      this.#attempt = undefined;
    }
  }

  /** Wait; `hurry` and the end cut it short. */
  async #sleep(ms: number): Promise<void> {
    if (ms <= 0) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#sleeps.delete(wake);
        cancel();
        resolve();
      };
      const cancel = this.#platform.clock.after(ms, wake);
      this.#sleeps.add(wake);
    });
  }

  #isOver(): boolean {
    return this.#over;
  }

  // -------------------------------------------------------------------------------------------------- events

  #handle(client: SignalingClient, event: ClientEvent): void {
    if (client !== this.#client) return;
    switch (event.kind) {
      case "replied":
        if (event.reply.type === "login_ok") this.#loggedIn(event.reply);
        this.#take(event.seq)?.resolve(event.reply);
        return;
      case "failed":
        this.#take(event.seq)?.reject(event.error);
        return;
      case "noticed":
        this.#owner.noticed(event.notice);
        return;
      case "resumed":
        if (event.reply.ice_servers !== undefined) this.#iceServers = event.reply.ice_servers;
        this.#isUp();
        this.#owner.resumed();
        this.#attempt?.resolve(undefined);
        // The address may have changed: better a new transport now than one that gives up in half a minute.
        if (this.viewing.isDown) this.viewing.lose();
        return;
      case "interrupted":
        this.#lost(event.error);
        return;
      case "ended":
        if (event.kicked || this.#leaving || event.error === null) this.end(event);
        else this.#lost(event.error);
    }
  }

  #take(seq: number): Waiter | undefined {
    const waiter = this.#waiters.get(seq);
    this.#waiters.delete(seq);
    return waiter;
  }

  #isUp(): void {
    this.#up = true;
    this.#online.resolve(undefined);
  }

  #loggedIn(reply: LoginOk): void {
    this.#iceServers = reply.ice_servers ?? [];
    const again = this.#wasIn;
    this.#wasIn = true;
    this.#isUp();
    if (this.#attempt === undefined) {
      this.#owner.switched(reply);
      return;
    }
    void this.viewing.accept(reply.viewer_answer ?? "", reply.max_plays);
    if (again) this.#owner.loggedInAgain(reply);
    else this.#owner.loggedIn(reply);
    this.#attempt.resolve(undefined);
    if (this.#iceServers.length === 0) return;
    this.#cancelTurn?.();
    this.#cancelTurn = this.#platform.clock.after(TURN_AFTER_MS, () => {
      this.viewing.tryTurn();
      this.#owner.turnNeeded();
    });
  }

  /** The connection broke, or an attempt to make one failed. */
  #lost(error: SanderlingError): void {
    this.#clock = this.clock;
    if (this.#attempt !== undefined) {
      this.#attempt.reject(error);
    } else if (this.#wasIn) {
      this.#connection?.abort();
      this.#up = false;
      this.#online = deferred();
      this.#owner.interrupted(error);
      this.#interruption.resolve(error);
    } else {
      this.end({ error, kicked: false });
    }
    // What is asked for meanwhile waits for the next session.
    if (this.#client.state === "ended" && !this.#over) this.#client = new SignalingClient();
  }

  async #replaceViewer(): Promise<void> {
    if (this.#replacing) return;
    this.#replacing = true;
    const lost = this.viewing.viewer;
    const backoff = new Backoff(RETRY_LIMIT_MS, this.#now(), () => this.#platform.random());
    try {
      for (let known = lost; ; known = this.viewing.viewer) {
        await this.#sleep(backoff.next(this.#now()));
        await this.online();
        if (this.#over || this.viewing.viewer !== known) return; // a login has made one
        try {
          await this.viewing.replace(this.#owner.slotsNeeded());
          return;
        } catch (thrown) {
          const error = asError(thrown, NativeCode.PLAY_FAILED);
          if (this.#isOver()) return;
          if (!isPassing(error) || backoff.over(this.#now())) {
            this.#owner.viewerFailed(error);
            return;
          }
        }
      }
    } catch {
      // The session is over, and with it what was to be replaced.
    } finally {
      this.#replacing = false;
    }
  }
}
