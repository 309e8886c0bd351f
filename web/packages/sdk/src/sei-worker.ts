/** Runs in a worker, between encoder or decoder and network: puts data into pictures, and takes it out. */

import { embed, extract } from "./sei.js";

/** Pieces that wait for a picture (product-facts 1.11); the oldest goes when there are more. */
const WAITING = 10;
/** A layer without a picture for so long is not being sent. */
const SILENT_MS = 1_000;

interface EncodedFrame {
  data: ArrayBuffer;
  getMetadata(): { readonly mimeType?: string; readonly rtpTimestamp?: number; readonly synchronizationSource?: number };
}

interface Transformer {
  readonly readable: ReadableStream<EncodedFrame>;
  readonly writable: WritableStream<EncodedFrame>;
  readonly options: { readonly sends: boolean; readonly port: MessagePort };
}

/** One layer of a picture that is sent; each carries every piece, because a viewer gets one of them. */
interface Layer {
  seen: number;
  waiting: Uint8Array[];
}

function sender(port: MessagePort): (frame: EncodedFrame) => void {
  const layers = new Map<number, Layer>();
  let early: Uint8Array[] = [];
  port.onmessage = ({ data }: MessageEvent<Uint8Array>) => {
    if (layers.size === 0) early = [...early, data].slice(-WAITING);
    for (const layer of layers.values()) layer.waiting = [...layer.waiting, data].slice(-WAITING);
  };
  return (frame) => {
    const { mimeType = "", synchronizationSource = 0 } = frame.getMetadata();
    const now = performance.now();
    for (const [source, { seen }] of layers) if (now - seen > SILENT_MS) layers.delete(source);
    const layer = layers.get(synchronizationSource) ?? { seen: now, waiting: layers.size === 0 ? early : [] };
    if (layers.size === 0) early = [];
    layers.set(synchronizationSource, layer);
    layer.seen = now;
    if (layer.waiting.length === 0) return;
    const { waiting } = layer;
    layer.waiting = [];
    frame.data = bytesOf(embed(new Uint8Array(frame.data), waiting, mimeType));
  };
}

function receiver(port: MessagePort): (frame: EncodedFrame) => void {
  return (frame) => {
    const { mimeType = "", rtpTimestamp = 0 } = frame.getMetadata();
    const whole = new Uint8Array(frame.data);
    const { picture, pieces } = extract(whole, mimeType);
    if (picture !== whole) frame.data = bytesOf(picture);
    for (const piece of pieces) port.postMessage([rtpTimestamp, piece]);
  };
}

function bytesOf(data: Uint8Array): ArrayBuffer {
  return data.slice().buffer;
}

(globalThis as unknown as { onrtctransform: unknown }).onrtctransform = ({ transformer }: { transformer: Transformer }) => {
  const { sends, port } = transformer.options;
  const work = sends ? sender(port) : receiver(port);
  const through = new TransformStream<EncodedFrame, EncodedFrame>({
    transform: (frame, controller) => {
      work(frame);
      controller.enqueue(frame);
    },
  });
  // Ends with the transport.
  transformer.readable.pipeThrough(through).pipeTo(transformer.writable).catch(() => undefined);
};
