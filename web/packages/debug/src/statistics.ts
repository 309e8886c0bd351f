/** Small figures over a sliding number of samples. No DOM. */

/** Keeps the newest `limit` numbers. */
export class Window {
  readonly #limit: number;
  #values: number[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(value: number): void {
    this.#values.push(value);
    if (this.#values.length > this.#limit) this.#values.shift();
  }

  get size(): number {
    return this.#values.length;
  }

  /** The value below which `share` (0 to 1) of the samples lie; undefined without samples. */
  quantile(share: number): number | undefined {
    const sorted = [...this.#values].sort((a, b) => a - b);
    return sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)];
  }

  get values(): readonly number[] {
    return this.#values;
  }
}

/**
 * Unix time finer than the milliseconds of Date.now(), which rounds down: the largest difference to the monotonic clock
 * among recent samples is the true one.
 */
export class UnixClock {
  readonly #date: () => number;
  readonly #monotonic: () => number;
  readonly #offsets = new Window(240);

  constructor(date: () => number = () => Date.now(), monotonic: () => number = () => performance.now()) {
    this.#date = date;
    this.#monotonic = monotonic;
    for (let sample = 0; sample < 32; sample += 1) this.sample();
  }

  /** Compare the clocks once more; called now and then, so that a corrected system clock is followed. */
  sample(): void {
    this.#offsets.add(this.#date() - this.#monotonic());
  }

  /** Unix milliseconds at `monotonic` milliseconds (default: now). */
  at(monotonic: number = this.#monotonic()): number {
    return monotonic + Math.max(...this.#offsets.values);
  }
}
