/** The fields of the page, to and from the elements that hold them. */

import { element } from "./page.js";
import type { Fields } from "./parameters.js";

const TEXT_FIELDS = ["appid", "server", "room", "user", "stream", "token"] as const;

/** The form. */
export class Form {
  readonly login = element("login", HTMLFormElement);
  readonly #texts = new Map(TEXT_FIELDS.map((name) => [name, element(name, HTMLInputElement)]));
  readonly #mode = element("mode", HTMLSelectElement);
  readonly #codec = element("codec", HTMLSelectElement);
  readonly #simulcast = element("simulcast", HTMLInputElement);

  read(): Fields {
    const text = (name: (typeof TEXT_FIELDS)[number]): string => this.#texts.get(name)?.value.trim() ?? "";
    return {
      appid: text("appid"),
      server: text("server"),
      room: text("room"),
      user: text("user"),
      stream: text("stream"),
      token: text("token"),
      mode: this.#mode.value as Fields["mode"],
      codec: this.#codec.value as Fields["codec"],
      simulcast: this.#simulcast.checked,
    };
  }

  fill(fields: Fields): void {
    for (const [name, input] of this.#texts) input.value = fields[name];
    this.#mode.value = fields.mode;
    this.#codec.value = fields.codec;
    this.#simulcast.checked = fields.simulcast;
  }

  /** What a login fixes cannot be changed while it stands. */
  lockLogin(locked: boolean): void {
    for (const name of ["appid", "server", "room", "user", "token"] as const) {
      const input = this.#texts.get(name);
      if (input !== undefined) input.readOnly = locked;
    }
  }
}
