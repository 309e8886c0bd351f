/** The fixed elements of the page, found once; and the log. */

import type { Mood, Phrase } from "./words.js";

/** The element with this ID; an Error when the page lacks it or it is another kind. */
export function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} "${id}"`);
  return found;
}

/** Make an element with a class and a text; text only, never markup: what a server says is shown, not interpreted. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Show a text in which commands stand between backticks; text only, as in `make`. */
export function showText(where: HTMLElement, text: string): void {
  const parts = text.split("`").map((part, index) => (index % 2 === 0 ? part : make("code", "", part)));
  where.replaceChildren(...parts);
}

/** Show a state in words and colour. */
export function showPhrase(where: HTMLElement, { text, mood }: Phrase): void {
  showText(where, text);
  where.dataset["mood"] = mood;
}

/** Lines kept: enough to tell what happened, few enough for a phone. */
const LOG_LINES = 100;

/** What happened, newest first. */
export class Log {
  readonly #list: HTMLElement;

  constructor(list: HTMLElement) {
    this.#list = list;
  }

  add(text: string, mood: Mood = "idle"): void {
    const line = make("li", "line");
    line.dataset["mood"] = mood;
    const words = make("span");
    showText(words, text);
    line.append(make("time", "", new Date().toTimeString().slice(0, 8)), words);
    this.#list.prepend(line);
    while (this.#list.childElementCount > LOG_LINES) this.#list.lastElementChild?.remove();
  }
}
