/** The pictures: the own one while a host, remote ones while a remote host is live. */

import { element, make } from "./page.js";
import { Tile, type TileSubject } from "./tile.js";

/** Holds the tiles by streamID; own and remote streams cannot share one. */
export class Stage {
  readonly #grid = element("stage", HTMLElement);
  readonly #empty = element("empty", HTMLElement);
  readonly #tiles = new Map<string, Tile>();

  get(streamID: string): Tile | undefined {
    return this.#tiles.get(streamID);
  }

  /** `again` plays the stream anew, after a failure. */
  add(subject: TileSubject, now: (monotonic?: number) => number, again: () => void = () => undefined): Tile {
    this.remove(subject.streamID);
    const tile = new Tile(subject, now, again);
    this.#tiles.set(subject.streamID, tile);
    // The own picture stands last: the remote ones are what a viewer came for.
    if (subject.local) this.#grid.append(tile.root);
    else this.#grid.insertBefore(tile.root, this.#grid.querySelector('[data-local="true"]'));
    this.#changed();
    return tile;
  }

  remove(streamID: string): void {
    this.#tiles.get(streamID)?.remove();
    this.#tiles.delete(streamID);
    this.#changed();
  }

  clear(): void {
    for (const streamID of [...this.#tiles.keys()]) this.remove(streamID);
  }

  /** What to say while there is no picture. */
  explainEmpty(title: string, text: string): void {
    this.#empty.replaceChildren(make("strong", "", title), make("span", "", text));
  }

  #changed(): void {
    this.#empty.hidden = this.#tiles.size > 0;
    this.#grid.dataset["count"] = String(Math.min(this.#tiles.size, 4));
  }
}
