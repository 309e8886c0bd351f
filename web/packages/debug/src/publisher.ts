/** What this page publishes: one stream from the camera, the screen or the test picture. */

import type { SanderlingEngine } from "@sanderling/web";

import type { Fields, Source } from "./parameters.js";
import { TestPicture } from "./test-picture.js";

/** Local media and how to give it back. */
export interface LocalMedia {
  readonly source: Source;
  readonly stream: MediaStream;
  /** Free devices, timers and sound. */
  release(): void;
  /** The user touched the page: sound may start. */
  touched(): void;
}

/** Get the media of a source; rejects with a SanderlingError when there is none. */
export async function openSource(
  engine: SanderlingEngine,
  source: Source,
  fields: Fields,
  now: () => number,
): Promise<LocalMedia> {
  if (source === "test") {
    const picture = new TestPicture(now, `${fields.user} · ${fields.stream}`);
    return {
      source,
      stream: picture.stream,
      release: () => {
        picture.stop();
      },
      touched: () => {
        picture.resumeSound();
      },
    };
  }
  const stream = await engine.createStream(
    source === "camera" ? { camera: { video: true, audio: true } } : { screen: { video: true, audio: true } },
  );
  return {
    source,
    stream,
    release: () => {
      engine.destroyStream(stream);
    },
    touched: () => undefined,
  };
}
