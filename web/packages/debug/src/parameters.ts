/** The fields of the page and the links that fill them. No DOM. */

/** What the fields hold. */
export interface Fields {
  readonly appid: string;
  readonly server: string;
  readonly room: string;
  readonly user: string;
  readonly stream: string;
  readonly token: string;
  /** Web numbering: 0 RTC, 1 CDN, 2 L3. */
  readonly mode: "0" | "1" | "2";
  readonly codec: "VP8" | "VP9" | "AV1" | "H264";
  readonly simulcast: boolean;
}

/** What can be published. */
export type Source = "camera" | "screen" | "test";

/** A link's wishes. */
export interface Parameters {
  readonly fields: Fields;
  /** Publish this as soon as the login stands; undefined = nothing. */
  readonly publish: Source | undefined;
  /** Log in and play at once. */
  readonly autoplay: boolean;
}

const MODES: Readonly<Record<string, Fields["mode"]>> = { "0": "0", "1": "1", "2": "2", rtc: "0", cdn: "1", l3: "2" };
const CODECS: readonly Fields["codec"][] = ["VP8", "VP9", "AV1", "H264"];
const SOURCES: readonly Source[] = ["camera", "screen", "test"];

/**
 * Read a link: its query, and its fragment, which wins and never leaves the browser, so that a token is better put
 * there. `suffix` makes names that nobody else has.
 */
export function parseLink(href: string, suffix: string): Parameters {
  const url = new URL(href);
  const given = new Map([...url.searchParams, ...new URLSearchParams(url.hash.replace(/^#/, ""))]);
  const text = (...names: string[]): string => {
    for (const name of names) {
      const value = given.get(name)?.trim();
      if (value !== undefined && value !== "") return value;
    }
    return "";
  };
  const codec = text("codec").toUpperCase();
  const publish = text("publish");
  return {
    fields: {
      appid: text("appid", "app_id"),
      // The page lies at <server>/debug/, whatever prefix a proxy puts before it.
      server: text("server") || new URL("..", url).href.replace(/[?#].*$/, "").replace(/\/$/, ""),
      room: text("room", "room_id") || "0001",
      user: text("user", "user_id") || `web-${suffix}`,
      stream: text("stream", "stream_id") || `web-${suffix}`,
      token: text("token", "cgi_token"),
      mode: MODES[text("mode").toLowerCase()] ?? (given.get("l3") === "true" ? "2" : "0"),
      codec: CODECS.find((name) => name === codec) ?? "VP8",
      simulcast: flag(text("simulcast")),
    },
    publish: SOURCES.find((source) => source === publish),
    autoplay: flag(text("autoplay")),
  };
}

/** What is wrong with the fields, in words; "" when a login can be tried. */
export function problemOf(fields: Fields): string {
  if (fields.appid === "") return "The AppID is missing. `sanderling project list` shows it.";
  if (!/^\d+$/.test(fields.appid)) return "The AppID is a number, without letters or spaces.";
  if (fields.room === "") return "The RoomID is missing.";
  if (fields.user === "") return "The UserID is missing.";
  if (fields.server === "") return "The Server is missing.";
  return "";
}

function flag(value: string): boolean {
  return value === "1" || value.toLowerCase() === "true";
}
