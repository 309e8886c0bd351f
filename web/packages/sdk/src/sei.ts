/**
 * Data inside encoded pictures, so that it arrives with the picture it was sent with; the twin of
 * python/sanderling/sdk/side_data.py. Each codec has a place that decoders pass over:
 *
 * - H.264: an SEI message of type 5, user data unregistered (ITU-T H.264 annex D.2.6), under this product's UUID;
 * - AV1: a metadata OBU of a type for private use (AV1 specification section 6.7.1);
 * - VP8: bytes behind the last partition, which no decoder reads (RFC 6386 section 9.5), with their length and a mark.
 */

const MARK = new TextEncoder().encode("SndrlSei");
const UUID = Uint8Array.of(0x5a, 0x0e, 0x4c, 0x5b, 0x7d, 0x61, 0x4d, 0x5f, 0x9a, 0x62, 0xc4, 0xa4, 0xa1, 0xc8, 0xe6, 0xd3);
const SEI_NAL = 6;
const USER_DATA = 5;
const METADATA_OBU = 5;
const FRAME_OBUS: readonly number[] = [3, 6];
const PRIVATE_METADATA = 25;
const HAS_SIZE = 0x02;
const HAS_EXTENSION = 0x04;

/** The picture with `pieces` in it; unchanged for a codec that has no place for them. */
export function embed(picture: Uint8Array, pieces: readonly Uint8Array[], mimeType: string): Uint8Array {
  switch (mimeType) {
    case "video/VP8": {
      const body = join(pieces.flatMap((piece) => [big(piece.length, 2), piece]));
      return join([picture, body, big(body.length, 4), MARK]);
    }
    case "video/H264":
      return join([...pieces.map(sei), picture]);
    case "video/AV1": {
      // Before the frame: decoders stop reading once they have it.
      const at = obus(picture).find(({ type }) => FRAME_OBUS.includes(type))?.at ?? picture.length;
      return join([picture.subarray(0, at), ...pieces.map(obu), picture.subarray(at)]);
    }
    default:
      return picture;
  }
}

/** What a decoder is to get, and the pieces that were in it. Whatever cannot be read is left alone. */
export function extract(
  picture: Uint8Array,
  mimeType: string,
): { readonly picture: Uint8Array; readonly pieces: readonly Uint8Array[] } {
  switch (mimeType) {
    case "video/VP8":
      return fromVp8(picture);
    case "video/H264":
      return { picture, pieces: fromH264(picture) };
    case "video/AV1":
      return { picture, pieces: fromAv1(picture) };
    default:
      return { picture, pieces: [] };
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function big(value: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (value >>> (8 * (size - 1 - index))) & 0xff);
}

function number(data: Uint8Array): number {
  return data.reduce((value, byte) => value * 256 + byte, 0);
}

function startsWith(data: Uint8Array, head: Uint8Array): boolean {
  return data.length >= head.length && head.every((byte, index) => data[index] === byte);
}

// ----------------------------------------------------------------------------------------------------- VP8

function fromVp8(picture: Uint8Array): { readonly picture: Uint8Array; readonly pieces: readonly Uint8Array[] } {
  const none = { picture, pieces: [] };
  const bodyEnd = picture.length - MARK.length - 4;
  if (bodyEnd < 0 || !startsWith(picture.subarray(bodyEnd + 4), MARK)) return none;
  const start = bodyEnd - number(picture.subarray(bodyEnd, bodyEnd + 4));
  if (start < 0) return none;
  const pieces: Uint8Array[] = [];
  for (let at = start; at + 2 <= bodyEnd; ) {
    const end = at + 2 + number(picture.subarray(at, at + 2));
    if (end > bodyEnd) return none;
    pieces.push(picture.slice(at + 2, end));
    at = end;
  }
  return { picture: picture.subarray(0, start), pieces };
}

// ---------------------------------------------------------------------------------------------------- H.264

function sei(piece: Uint8Array): Uint8Array {
  const size = UUID.length + piece.length;
  const sizes = new Uint8Array(Math.floor(size / 255) + 1).fill(255);
  sizes[sizes.length - 1] = size % 255;
  const message = join([Uint8Array.of(USER_DATA), sizes, UUID, piece, Uint8Array.of(0x80)]);
  return join([Uint8Array.of(0, 0, 0, 1, SEI_NAL), withPrevention(message)]);
}

/** With emulation prevention: no start code inside (ITU-T H.264 section 7.4.1). */
function withPrevention(data: Uint8Array): Uint8Array {
  const out: number[] = [];
  let zeros = 0;
  for (const byte of data) {
    if (zeros >= 2 && byte <= 3) {
      out.push(3);
      zeros = 0;
    }
    out.push(byte);
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return Uint8Array.from(out);
}

function withoutPrevention(data: Uint8Array): Uint8Array {
  const out: number[] = [];
  let zeros = 0;
  for (const byte of data) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    out.push(byte);
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return Uint8Array.from(out);
}

function startCode(data: Uint8Array, from: number): number {
  for (let at = from; at + 3 <= data.length; at += 1) {
    if (data[at] === 0 && data[at + 1] === 0 && data[at + 2] === 1) return at;
  }
  return -1;
}

function fromH264(picture: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = startCode(picture, 0); at >= 0; ) {
    const begin = at + 3;
    const type = (picture[begin] ?? 0) & 0x1f;
    if (type === 1 || type === 5) break; // the picture itself, and no SEI behind it
    at = startCode(picture, begin);
    if (type !== SEI_NAL) continue;
    let end = at >= 0 ? at : picture.length;
    while (end > begin && picture[end - 1] === 0) end -= 1;
    pieces.push(...userData(withoutPrevention(picture.subarray(begin + 1, end))));
  }
  return pieces;
}

function userData(data: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  const value = (): number => {
    let sum = 0;
    while (data[at] === 255) {
      sum += 255;
      at += 1;
    }
    sum += data[at] ?? 0;
    at += 1;
    return sum;
  };
  while (at + 2 < data.length) {
    const type = value();
    const size = value();
    const payload = data.subarray(at, at + size);
    at += size;
    if (type === USER_DATA && payload.length === size && startsWith(payload, UUID)) pieces.push(payload.slice(UUID.length));
  }
  return pieces;
}

// ------------------------------------------------------------------------------------------------------ AV1

function obu(piece: Uint8Array): Uint8Array {
  const payload = join([Uint8Array.of(PRIVATE_METADATA), UUID, piece, Uint8Array.of(0x80)]);
  const size: number[] = [];
  let left = payload.length;
  for (; left > 0x7f; left >>>= 7) size.push((left & 0x7f) | 0x80);
  return join([Uint8Array.of((METADATA_OBU << 3) | HAS_SIZE, ...size, left), payload]);
}

interface Obu {
  readonly type: number;
  readonly at: number;
  readonly begin: number;
  readonly end: number;
}

function obus(picture: Uint8Array): Obu[] {
  const found: Obu[] = [];
  for (let at = 0; at < picture.length; ) {
    const start = at;
    const first = picture[at] ?? 0;
    at += (first & HAS_EXTENSION) === 0 ? 1 : 2;
    let size = picture.length - at;
    if ((first & HAS_SIZE) !== 0) {
      size = 0;
      for (let shift = 0; at < picture.length && shift < 28; shift += 7) {
        const byte = picture[at] ?? 0;
        at += 1;
        size |= (byte & 0x7f) << shift;
        if ((byte & 0x80) === 0) break;
      }
    }
    const end = Math.min(at + Math.max(size, 0), picture.length);
    found.push({ type: (first >> 3) & 0x0f, at: start, begin: at, end });
    at = Math.max(end, at);
  }
  return found;
}

function fromAv1(picture: Uint8Array): Uint8Array[] {
  const head = join([Uint8Array.of(PRIVATE_METADATA), UUID]);
  return obus(picture)
    .filter(({ type }) => type === METADATA_OBU)
    .map(({ begin, end }) => picture.subarray(begin, end))
    .filter((payload) => startsWith(payload, head))
    .map((payload) => {
      let end = payload.length;
      while (end > head.length && payload[end - 1] === 0) end -= 1;
      return payload.slice(head.length, end - 1);
    });
}
