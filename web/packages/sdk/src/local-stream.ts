/** A local stream with its preview, the newer of the product's two shapes (`createZegoStream`). */

/** How a picture fills its place. */
export interface ViewOptions {
  readonly mirror?: boolean;
  readonly objectFit?: "cover" | "contain" | "fill";
  readonly muted?: boolean;
}

/** Made by `engine.createZegoStream`. */
export class LocalStream {
  readonly stream: MediaStream;
  #view: HTMLVideoElement | undefined;

  constructor(stream: MediaStream) {
    this.stream = stream;
  }

  /** Show the picture inside `container`, mirrored only when asked; never with its own sound. */
  playVideo(container: HTMLElement, options: ViewOptions = {}): void {
    this.stopVideo();
    this.#view = createView(this.stream, { ...options, muted: true });
    container.append(this.#view);
  }

  stopVideo(): void {
    if (this.#view === undefined) return;
    this.#view.srcObject = null;
    this.#view.remove();
    this.#view = undefined;
  }

  /** Free camera, microphone and screen. */
  stop(): void {
    this.stopVideo();
    for (const track of this.stream.getTracks()) track.stop();
  }
}

/** A video element that shows `stream`, aspect-fit unless said otherwise. */
export function createView(stream: MediaStream, options: ViewOptions = {}): HTMLVideoElement {
  const video = document.createElement("video");
  video.autoplay = true;
  video.playsInline = true;
  video.muted = options.muted ?? false;
  video.style.objectFit = options.objectFit ?? "contain";
  video.style.width = "100%";
  video.style.height = "100%";
  if (options.mirror === true) video.style.transform = "scaleX(-1)";
  video.srcObject = stream;
  return video;
}
