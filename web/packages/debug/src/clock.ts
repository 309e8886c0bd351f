/** The burned-in clock (docs/reference/burned-in-clock.md): time and frame number in a picture's luma. No DOM. */

/** Rows and columns of cells. */
export const ROWS = 3;
export const COLUMNS = 32;
/** The smallest picture that is written or read, pixels. */
export const MIN_WIDTH = 160;
export const MIN_HEIGHT = 90;
/** Share of the height, from the top, that holds the whole grid: a reader needs no more of the picture. */
export const BAND = 8 / 45;

const BYTES = 12;
/** Sixteenths of a cell at which a reader looks. */
const SAMPLES = [5, 7, 9, 11];
/** Darkest and brightest cell differ by 40 luma steps in each of 16 samples, or there is no clock. */
const MIN_CONTRAST = 40 * SAMPLES.length ** 2;

/** What a picture's clock says: Unix milliseconds (steps of 0.1) and the frame number modulo 65536. */
export interface Reading {
  readonly unixMs: number;
  readonly frame: number;
}

/** The luma at a pixel, 0 to 255. */
export type Luma = (x: number, y: number) => number;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 of IEEE 802.3 over the first eight bytes. */
function check(word: DataView): number {
  let crc = 0xffffffff;
  for (let index = 0; index < 8; index += 1) {
    crc = (CRC_TABLE[(crc ^ word.getUint8(index)) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** The 96 cells, row by row; `units` is Unix time in 0.1 ms, which a double holds exactly, as it does not nanoseconds. */
export function cells(units: number, frame: number): boolean[] {
  if (!(units >= 0)) throw new RangeError(`the clock cannot show a time before 1970: ${String(units)}`);
  const word = new DataView(new ArrayBuffer(BYTES));
  const whole = Math.floor(units);
  word.setUint16(0, Math.floor(whole / 2 ** 32));
  word.setUint32(2, whole % 2 ** 32);
  word.setUint16(6, frame);
  word.setUint32(8, check(word));
  return Array.from({ length: ROWS * COLUMNS }, (_, bit) => ((word.getUint8(bit >> 3) >> (7 - (bit & 7))) & 1) === 1);
}

/** Left edge of a column, 0 to 32, in a picture `width` wide. */
export function columnEdge(column: number, width: number): number {
  return Math.floor(((4 + column) * width) / 40);
}

/** Top edge of a row, 0 to 3, in a picture `height` high. */
export function rowEdge(row: number, height: number): number {
  return Math.floor(((1 + row) * 2 * height) / 45);
}

/** Where a clock is drawn: a 2D canvas context, or a test's plane. */
export interface Surface {
  fill(white: boolean, x: number, y: number, width: number, height: number): void;
}

/** Write the clock into a picture. RangeError when it is too small. */
export function burn(surface: Surface, width: number, height: number, unixMs: number, frame: number): void {
  checkSize(width, height);
  const word = cells(unixMs * 10, frame);
  for (let row = 0; row < ROWS; row += 1) {
    const top = rowEdge(row, height);
    const bottom = rowEdge(row + 1, height);
    for (let column = 0; column < COLUMNS; column += 1) {
      const left = columnEdge(column, width);
      surface.fill(word[row * COLUMNS + column] ?? false, left, top, columnEdge(column + 1, width) - left, bottom - top);
    }
  }
}

/** Read the clock off a picture; undefined when it shows none or it is damaged. RangeError when it is too small. */
export function read(luma: Luma, width: number, height: number): Reading | undefined {
  checkSize(width, height);
  const sums = new Array<number>(ROWS * COLUMNS).fill(0);
  for (let row = 0; row < ROWS; row += 1) {
    const ys = SAMPLES.map((j) => Math.floor((((1 + row) * 16 + j) * 2 * height) / 720));
    for (let column = 0; column < COLUMNS; column += 1) {
      const xs = SAMPLES.map((i) => Math.floor((((4 + column) * 16 + i) * width) / 640));
      let sum = 0;
      for (const y of ys) for (const x of xs) sum += luma(x, y);
      sums[row * COLUMNS + column] = sum;
    }
  }
  const low = Math.min(...sums);
  const high = Math.max(...sums);
  if (high - low < MIN_CONTRAST) return undefined;
  const word = new DataView(new ArrayBuffer(BYTES));
  sums.forEach((sum, bit) => {
    if (2 * sum > low + high) word.setUint8(bit >> 3, word.getUint8(bit >> 3) | (128 >> (bit & 7)));
  });
  if (check(word) !== word.getUint32(8)) return undefined;
  return { unixMs: (word.getUint16(0) * 2 ** 32 + word.getUint32(2)) / 10, frame: word.getUint16(6) };
}

/** The luma of RGBA bytes, `width` pixels a row (BT.601). */
export function lumaOfRgba(data: ArrayLike<number>, width: number): Luma {
  return (x, y) => {
    const at = 4 * (y * width + x);
    return ((data[at] ?? 0) * 77 + (data[at + 1] ?? 0) * 150 + (data[at + 2] ?? 0) * 29) >> 8;
  };
}

function checkSize(width: number, height: number): void {
  if (width >= MIN_WIDTH && height >= MIN_HEIGHT) return;
  const size = `${String(width)}x${String(height)}`;
  throw new RangeError(`a picture of ${size} is too small for the clock (${String(MIN_WIDTH)}x${String(MIN_HEIGHT)})`);
}
