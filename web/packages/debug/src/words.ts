/** States and errors in words. No DOM. */

import type { PlayerState, PublisherState, RoomStateReason } from "@sanderling/web";

/** How a state looks: nothing going on, under way, well, not well. */
export type Mood = "idle" | "busy" | "good" | "bad";

/** A state, for the eye. */
export interface Phrase {
  readonly text: string;
  readonly mood: Mood;
}

export const ROOM_STATES: Readonly<Record<RoomStateReason, Phrase>> = {
  LOGINING: { text: "Logging in …", mood: "busy" },
  LOGINED: { text: "Logged in", mood: "good" },
  LOGIN_FAILED: { text: "Login failed", mood: "bad" },
  RECONNECTING: { text: "Connection lost, reconnecting …", mood: "busy" },
  RECONNECTED: { text: "Connected again", mood: "good" },
  RECONNECT_FAILED: { text: "Connection lost", mood: "bad" },
  KICKOUT: { text: "Removed from the room", mood: "bad" },
  LOGOUT: { text: "Not logged in", mood: "idle" },
  LOGOUT_FAILED: { text: "Left, but the server did not confirm it", mood: "bad" },
};

export const PUBLISHER_STATES: Readonly<Record<PublisherState, Phrase>> = {
  NO_PUBLISH: { text: "Not publishing", mood: "idle" },
  PUBLISH_REQUESTING: { text: "Going live …", mood: "busy" },
  PUBLISHING: { text: "Live", mood: "good" },
};

export const PLAYER_STATES: Readonly<Record<PlayerState, Phrase>> = {
  NO_PLAY: { text: "Stopped", mood: "idle" },
  PLAY_REQUESTING: { text: "Connecting …", mood: "busy" },
  PLAYING: { text: "Playing", mood: "good" },
};

/** What to do about the errors that a page's user meets first. */
const ADVICE: ReadonlyMap<number, string> = new Map([
  [1101000, "Check AppID and Server against `sanderling project list`."],
  [1102016, "Check that the token belongs to this AppID and UserID: `sanderling token inspect` says which field is wrong."],
  [1102018, "Make a new token with `sanderling token create`."],
  [1102013, "Check that the server runs and that Server holds its address."],
  [1100003, "Check that the server runs and that Server holds its address."],
  [1102023, "Check that the server's media ports can be reached from here by UDP or TCP."],
  [1103003, "Check that the server's media ports can be reached from here by UDP or TCP."],
  [1103019, "The token carries no right to publish."],
  [1104038, "Switch L3 on for the project with `sanderling project set --l3 on`, or choose RTC."],
  [1104039, "The stream is not being published in this room."],
  [1103064, "Allow camera and microphone beside the page's address and try again."],
  [1003028, "Choose another StreamID."],
  [1002050, "The same UserID logged in elsewhere. Choose another one here or there."],
]);

/** An error as code, the server's own words, and what to do: its own hint, which ends the text in brackets, or ours. */
export function errorSentence(code: number, text: string): string {
  const words = text === "" ? "no further words" : text.replace(/[.\s]+$/, "");
  const advice = words.endsWith(")") ? undefined : ADVICE.get(code);
  return `${String(code)}: ${words}.${advice === undefined ? "" : ` ${advice}`}`;
}
