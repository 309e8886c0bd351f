/** Looks after a room's streams at regular times: figures every 3 s, the quality of the network every 2. */

import type { NetworkLevel } from "./events.js";
import type { Platform } from "./platform.js";
import type { Playing } from "./playing.js";
import type { Publishing } from "./publishing.js";
import type { Session } from "./session.js";

/** Between two reports of a stream's figures (product-facts 1.13). */
export const QUALITY_MS = 3_000;
/** Between two reports of the network's quality (product-facts 5.5). */
export const NETWORK_MS = 2_000;
/** Reports of another user that stay away until its network counts as dead; after one it is unknown. */
const LOST_REPORTS = 3;

const DEAD = 4;
const UNKNOWN = 5;

/** Longest round trip in milliseconds and most lost packets in percent of each level. */
const LEVELS: readonly (readonly [number, number])[] = [
  [100, 2],
  [250, 8],
  [500, 20],
  [2000, 60],
];

/** How good a network with that round trip (ms) and share of lost packets (0 to 100) is. */
export function networkLevel(roundTripMs: number, lostPercent: number): NetworkLevel {
  const found = LEVELS.findIndex(([longest, most]) => roundTripMs <= longest && lostPercent <= most);
  return (found < 0 ? DEAD : found) as NetworkLevel;
}

/** What is looked after. */
export interface MonitorHost {
  readonly platform: Platform;
  readonly session: Session;
  publishings(): readonly Publishing[];
  playings(): readonly Playing[];
  /** UserIDs whose streams are played. */
  playedUsers(): ReadonlySet<string>;
  network(userID: string, up: NetworkLevel, down: NetworkLevel): void;
}

/** Works for one room from `start` to `stop`. */
export class Monitor {
  readonly #host: MonitorHost;
  readonly #reports = new Map<string, number>();
  readonly #cancels = new Map<number, () => void>();

  constructor(host: MonitorHost) {
    this.#host = host;
  }

  start(): void {
    this.#every(QUALITY_MS, () => {
      // A transport that was closed meanwhile has no figures; the next round asks the ones there are then.
      void Promise.allSettled([...this.#host.publishings(), ...this.#host.playings()].map((one) => one.measure()));
    });
    this.#every(NETWORK_MS, () => {
      this.#network();
    });
  }

  stop(): void {
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
    this.#reports.clear();
  }

  /** Another user whose stream is played says how good its network is. */
  remote(userID: string, up: number, down: number): void {
    this.#reports.set(userID, 0);
    this.#host.network(userID, known(up), known(down));
  }

  #every(ms: number, work: () => void): void {
    this.#cancels.get(ms)?.();
    const { clock } = this.#host.platform;
    const turn = (): void => {
      this.#cancels.set(ms, clock.after(ms, turn));
      work();
    };
    this.#cancels.set(ms, clock.after(ms, turn));
  }

  #network(): void {
    const up = this.#up();
    const down = this.#down();
    const publishing = this.#host.publishings().some(({ state }) => state === "PUBLISHING");
    const playing = this.#host.playings().some(({ state }) => state === "PLAYING");
    if (publishing || playing) this.#host.network("", up, down);
    if (publishing && this.#host.session.isOnline) {
      this.#host.session.post({ type: "report_quality", up, down, ...this.#way() });
    }
    const played = this.#host.playedUsers();
    for (const [userID, missed] of [...this.#reports]) {
      if (!played.has(userID)) {
        this.#reports.delete(userID);
        continue;
      }
      this.#reports.set(userID, missed + 1);
      if (missed === 1) this.#host.network(userID, UNKNOWN, UNKNOWN);
      else if (missed === LOST_REPORTS) this.#host.network(userID, DEAD, DEAD);
    }
  }

  /** What lies between this user and the server: players add it to what lies behind. 0 = not known. */
  #way(): { readonly rtt_ms: number; readonly lost_permille: number } {
    const figures = this.#host.publishings().flatMap((one) => one.figures ?? []);
    const most = (values: readonly number[], limit: number): number => Math.round(Math.min(Math.max(0, ...values), limit));
    return {
      rtt_ms: most(figures.map(({ currentRoundTripTime }) => currentRoundTripTime), 60_000),
      lost_permille: most(
        figures.flatMap(({ video, audio }) => [10 * video.videoPacketsLostRate, 10 * audio.audioPacketsLostRate]),
        1_000,
      ),
    };
  }

  #up(): NetworkLevel {
    const levels = this.#host.publishings().flatMap(({ state, figures }) => {
      if (state !== "PUBLISHING" || figures === undefined) return [];
      const lost = Math.max(figures.video.videoPacketsLostRate, figures.audio.audioPacketsLostRate);
      return [networkLevel(figures.currentRoundTripTime, lost)];
    });
    return worst(levels);
  }

  #down(): NetworkLevel {
    if (this.#host.session.viewing.isDown) return DEAD;
    const levels = this.#host.playings().flatMap(({ state, figures }) => {
      if (state !== "PLAYING" || figures === undefined) return [];
      const lost = Math.max(figures.video.videoPacketsLostRate, figures.audio.audioPacketsLostRate);
      return [networkLevel(figures.currentRoundTripTime, lost)];
    });
    return worst(levels);
  }
}

function worst(levels: readonly NetworkLevel[]): NetworkLevel {
  return levels.length === 0 ? UNKNOWN : (Math.max(...levels) as NetworkLevel);
}

function known(level: number): NetworkLevel {
  return level >= 0 && level <= DEAD ? (level as NetworkLevel) : UNKNOWN;
}
