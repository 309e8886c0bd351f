/** What the buttons do and what the engine's events change on the page. */

import {
  SanderlingEngine,
  SanderlingError,
  type PlayerStateInfo,
  type PublisherStateInfo,
  type RoomStateReason,
  type StreamInfo,
} from "@sanderling/web";

import type { Form } from "./form.js";
import { element, showPhrase, showText, type Log } from "./page.js";
import { problemOf, type Source } from "./parameters.js";
import { openSource, type LocalMedia } from "./publisher.js";
import type { Stage } from "./stage.js";
import { UnixClock } from "./statistics.js";
import { PLAYER_STATES, PUBLISHER_STATES, ROOM_STATES, errorSentence } from "./words.js";

/** Clocks closer than this, beyond what the measurement can tell, are taken for the same. */
const SAME_CLOCK_MS = 3;

/** The room is over, by whatever cause. */
const OUTSIDE: ReadonlySet<RoomStateReason> = new Set([
  "LOGIN_FAILED",
  "RECONNECT_FAILED",
  "KICKOUT",
  "LOGOUT",
  "LOGOUT_FAILED",
]);

/** One page. */
export class Controller {
  readonly #form: Form;
  readonly #stage: Stage;
  readonly #log: Log;
  readonly #unix = new UnixClock();
  readonly #roomState = element("room-state", HTMLElement);
  readonly #publishState = element("publish-state", HTMLElement);
  readonly #alert = element("alert", HTMLElement);
  readonly #loginButton = element("log-in", HTMLButtonElement);
  readonly #logoutButton = element("log-out", HTMLButtonElement);
  readonly #publishButtons: ReadonlyMap<Source, HTMLButtonElement>;
  readonly #stopButton = element("stop", HTMLButtonElement);
  #engine: SanderlingEngine | undefined;
  #loggedIn = false;
  #local: { readonly streamID: string; readonly media: LocalMedia } | undefined;
  #opening = false;

  constructor(form: Form, stage: Stage, log: Log) {
    this.#form = form;
    this.#stage = stage;
    this.#log = log;
    this.#publishButtons = new Map(
      (["camera", "screen", "test"] as const).map((source) => [
        source,
        element(`publish-${source}`, HTMLButtonElement),
      ]),
    );
    form.login.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.logIn();
    });
    this.#logoutButton.addEventListener("click", () => void this.logOut());
    this.#stopButton.addEventListener("click", () => {
      this.stopPublishing();
    });
    for (const [source, button] of this.#publishButtons) {
      button.addEventListener("click", () => void this.publish(source));
    }
    document.addEventListener("pointerdown", () => this.#local?.media.touched());
    window.setInterval(() => {
      this.#unix.sample();
    }, 250);
    this.#update();
  }

  /** Unix milliseconds of the server's clock at a monotonic time; this machine's where the two are the same. */
  readonly now = (monotonic?: number): number => {
    const own = this.#unix.at(monotonic);
    const server = this.#engine?.getNetworkTimeInfo();
    if (server === undefined || !Number.isFinite(server.maxDeviation)) return own;
    const offset = server.timestamp - this.#unix.at();
    return Math.abs(offset) <= server.maxDeviation + SAME_CLOCK_MS ? own : own + offset;
  };

  /** Every delay of a stream that was measured so far. */
  delays(streamID: string): readonly number[] {
    return this.#stage.get(streamID)?.delays ?? [];
  }

  /** Play a remote stream anew, with the resource mode that the form holds now. */
  playAgain(streamID: string): void {
    if (this.#engine === undefined || streamID === this.#local?.streamID) return;
    this.#complain("");
    this.#engine.stopPlayingStream(streamID);
    this.#play(this.#engine, streamID);
  }

  /** Choose the layer of a stream; false when nobody is logged in or the server refused it. */
  async setStreamType(streamID: string, streamType: 0 | 1 | 2): Promise<boolean> {
    return (await this.#engine?.setPlayStreamVideoType(streamID, streamType)) ?? false;
  }

  /** True when the login stands. */
  async logIn(): Promise<boolean> {
    if (this.#engine !== undefined) return false;
    const fields = this.#form.read();
    const problem = problemOf(fields);
    if (problem !== "") {
      this.#complain(problem);
      return false;
    }
    this.#complain("");
    let engine: SanderlingEngine;
    try {
      engine = this.#engine = new SanderlingEngine(Number(fields.appid), fields.server);
    } catch (error) {
      this.#report(error);
      return false;
    }
    this.#listen(engine);
    this.#update();
    try {
      await engine.loginRoom(
        fields.room,
        fields.token,
        { userID: fields.user, userName: fields.user },
        { userUpdate: true },
      );
      return true;
    } catch {
      return false; // told by roomStateChanged
    }
  }

  async logOut(): Promise<void> {
    this.stopPublishing();
    await this.#engine?.logoutRoom();
  }

  /** Go live from a source. */
  async publish(source: Source): Promise<void> {
    const engine = this.#engine;
    if (engine === undefined || !this.#loggedIn || this.#local !== undefined || this.#opening) return;
    const fields = this.#form.read();
    this.#complain("");
    this.#opening = true;
    this.#update();
    try {
      const media = await openSource(engine, source, fields, this.now);
      if (this.#engine !== engine) {
        media.release();
        return;
      }
      this.#local = { streamID: fields.stream, media };
      const tile = this.#stage.add(
        { streamID: fields.stream, owner: fields.user, local: true, mirrored: source === "camera" },
        this.now,
      );
      tile.setState(PUBLISHER_STATES.PUBLISH_REQUESTING);
      tile.show(media.stream);
      engine.startPublishingStream(fields.stream, media.stream, {
        videoCodec: fields.codec,
        simulcast: fields.simulcast,
        ...(source === "test" ? { videoBitrate: 2500 } : {}),
      });
    } catch (error) {
      this.#report(error);
    } finally {
      this.#opening = false;
      this.#update();
    }
  }

  stopPublishing(): void {
    if (this.#local === undefined) return;
    this.#engine?.stopPublishingStream(this.#local.streamID);
    this.#dropLocal();
  }

  #listen(engine: SanderlingEngine): void {
    engine.on("roomStateChanged", (roomID, reason, code, text) => {
      this.#roomChanged(roomID, reason, code, text);
    });
    engine.on("roomUserUpdate", (_, update, users) => {
      const names = users.map(({ userID }) => userID).join(", ");
      this.#log.add(`${names} ${update === "ADD" ? "came" : "left"}`);
    });
    engine.on("roomStreamUpdate", (_, update, streams) => {
      for (const stream of streams) {
        if (update === "ADD") this.#added(engine, stream);
        else this.#ended(engine, stream);
      }
    });
    engine.on("publisherStateUpdate", (info) => {
      this.#publisherChanged(info);
    });
    engine.on("playerStateUpdate", (info) => {
      this.#playerChanged(info);
    });
    engine.on("remoteCameraStatusUpdate", (streamID, status) => {
      this.#log.add(`${streamID}: camera ${status === "OPEN" ? "on" : "off"}`);
    });
    engine.on("remoteMicStatusUpdate", (streamID, status) => {
      this.#log.add(`${streamID}: microphone ${status === "OPEN" ? "on" : "off"}`);
    });
    engine.on("playerResourceUpdate", (streamID, resource) => {
      this.#log.add(`${streamID} comes by ${resource === 2 ? "L3" : "RTC"} now`);
    });
    engine.on("IMRecvBroadcastMessage", (_, messages) => {
      for (const { fromUser, message } of messages) this.#log.add(`${fromUser.userID}: ${message}`);
    });
    engine.on("tokenWillExpire", (_, seconds) => {
      this.#log.add(`The token ends in ${String(seconds)} s. Make a new one with \`sanderling token create\`.`, "busy");
    });
    engine.on("publishQualityUpdate", (streamID, figures) => {
      this.#stage.get(streamID)?.showPublishQuality(figures);
    });
    engine.on("playQualityUpdate", (streamID, figures) => {
      this.#stage.get(streamID)?.showPlayQuality(figures);
    });
    engine.on("screenSharingEnded", () => {
      this.#log.add("The sharing of the screen was ended in the browser");
      this.stopPublishing();
    });
  }

  #roomChanged(roomID: string, reason: RoomStateReason, code: number, text: string): void {
    const phrase = ROOM_STATES[reason];
    const inRoom = reason === "LOGINED" || reason === "RECONNECTED";
    showPhrase(this.#roomState, inRoom ? { ...phrase, text: `In room ${roomID}` } : phrase);
    this.#roomState.dataset["reason"] = reason;
    const stop = phrase.text.endsWith("…") ? "" : ".";
    this.#log.add(code === 0 ? phrase.text : `${phrase.text}${stop} ${errorSentence(code, text)}`, phrase.mood);
    this.#loggedIn = inRoom || reason === "RECONNECTING";
    if (code !== 0 && reason !== "RECONNECTING") this.#complain(errorSentence(code, text), code);
    if (reason === "LOGINED") {
      this.#complain("");
      this.#stage.explainEmpty("Nobody is live", "Every stream of this room plays here as soon as it begins.");
    }
    if (OUTSIDE.has(reason)) this.#leave();
    this.#update();
  }

  /** The room is over: nothing of it stays. */
  #leave(): void {
    const engine = this.#engine;
    this.#engine = undefined;
    this.#dropLocal();
    this.#stage.clear();
    this.#stage.explainEmpty("Not logged in", "Fill in the fields and log in; every stream of the room plays at once.");
    if (engine !== undefined) void engine.destroyEngine();
  }

  #added(engine: SanderlingEngine, stream: StreamInfo): void {
    const { streamID, user } = stream;
    const owner = user.userName === "" || user.userName === user.userID ? user.userID : `${user.userName} (${user.userID})`;
    this.#stage.add({ streamID, owner, local: false, mirrored: false }, this.now, () => {
      this.playAgain(streamID);
    });
    this.#log.add(`${owner} went live: ${streamID}`, "good");
    this.#play(engine, streamID);
  }

  #play(engine: SanderlingEngine, streamID: string): void {
    const tile = this.#stage.get(streamID);
    if (tile === undefined) return;
    tile.setState(PLAYER_STATES.PLAY_REQUESTING);
    const startedAt = performance.now();
    engine
      .startPlayingStream(streamID, { resourceMode: Number(this.#form.read().mode) as 0 | 1 | 2 })
      .then((media) => {
        tile.show(media, startedAt);
      })
      .catch(() => undefined); // told by playerStateUpdate
  }

  #ended(engine: SanderlingEngine, stream: StreamInfo): void {
    engine.stopPlayingStream(stream.streamID);
    this.#stage.remove(stream.streamID);
    this.#log.add(`${stream.streamID} ended`);
  }

  #playerChanged({ streamID, state, errorCode, extendedData }: PlayerStateInfo): void {
    const tile = this.#stage.get(streamID);
    const phrase = PLAYER_STATES[state];
    if (tile !== undefined) tile.root.dataset["state"] = state;
    const failed = errorCode !== 0 && state === "NO_PLAY";
    tile?.setState(failed ? { text: errorSentence(errorCode, extendedData), mood: "bad" } : phrase, failed);
    if (errorCode === 0) return;
    const sentence = errorSentence(errorCode, extendedData);
    this.#log.add(`${streamID}: ${sentence}`, state === "NO_PLAY" ? "bad" : "busy");
    if (state === "NO_PLAY") this.#complain(sentence, errorCode);
  }

  #publisherChanged({ streamID, state, errorCode, extendedData }: PublisherStateInfo): void {
    const tile = this.#stage.get(streamID);
    if (tile !== undefined) tile.root.dataset["state"] = state;
    tile?.setState(PUBLISHER_STATES[state]);
    showPhrase(this.#publishState, PUBLISHER_STATES[state]);
    this.#publishState.dataset["state"] = state;
    this.#log.add(
      errorCode === 0
        ? `${streamID}: ${PUBLISHER_STATES[state].text}`
        : `${streamID}: ${errorSentence(errorCode, extendedData)}`,
      errorCode === 0 ? PUBLISHER_STATES[state].mood : "bad",
    );
    if (state !== "NO_PUBLISH") return;
    if (errorCode !== 0 && this.#loggedIn) this.#complain(errorSentence(errorCode, extendedData), errorCode);
    if (this.#local?.streamID === streamID) this.#dropLocal();
    this.#update();
  }

  #dropLocal(): void {
    const local = this.#local;
    if (local === undefined) return;
    this.#local = undefined;
    local.media.release();
    this.#stage.remove(local.streamID);
    this.#update();
  }

  #report(error: unknown): void {
    const known = error instanceof SanderlingError;
    const sentence = known ? errorSentence(error.errorCode, error.extendedData) : String(error);
    this.#log.add(sentence, "bad");
    this.#complain(sentence, known ? error.errorCode : 0);
  }

  #complain(text: string, code = 0): void {
    showText(this.#alert, text);
    this.#alert.hidden = text === "";
    this.#alert.dataset["code"] = String(code);
  }

  #update(): void {
    const inside = this.#engine !== undefined;
    document.body.dataset["inside"] = String(inside);
    this.#form.lockLogin(inside);
    this.#loginButton.disabled = inside;
    this.#logoutButton.disabled = !inside;
    const live = this.#local !== undefined;
    for (const button of this.#publishButtons.values()) {
      button.disabled = !this.#loggedIn || live || this.#opening || button.dataset["unavailable"] === "true";
    }
    this.#stopButton.disabled = !live;
  }
}
