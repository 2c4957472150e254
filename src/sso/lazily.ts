/** Reading something when it is first needed, again once it is old, and not again at once where that failed. */

export interface LazyOptions {
  /** How long what was read counts, in milliseconds. */
  readonly freshFor: number;
  /** How long what was read counts where it cannot be read anew, in milliseconds. @default as long as it is fresh */
  readonly usableFor?: number;
  /** How long after a failure nobody tries again, in milliseconds. */
  readonly retryAfter: number;
}

export interface Lazy<T> {
  /** Fails with what reading failed with. */
  get(): Promise<T>;
  /** Reads anew, unless that was done within so many milliseconds; and says whether it was. */
  renew(unlessWithin: number): Promise<boolean>;
  /** What was read last, however old. */
  known(): T | undefined;
}

/** Everybody who asks at the same moment waits for one reading. */
export function lazily<T>(
  read: () => Promise<T>,
  { freshFor, usableFor = freshFor, retryAfter }: LazyOptions,
): Lazy<T> {
  let value: { readonly read: T; readonly at: number } | undefined;
  let failure: { readonly error: unknown; readonly at: number } | undefined;
  let underWay: Promise<T> | undefined;
  const ageOf = (entry: { readonly at: number } | undefined) =>
    entry === undefined ? Infinity : performance.now() - entry.at;

  async function readNow(): Promise<T> {
    try {
      const found = await read();
      value = { read: found, at: performance.now() };
      failure = undefined;
      return found;
    } catch (error) {
      failure = { error, at: performance.now() };
      throw error;
    } finally {
      underWay = undefined;
    }
  }

  async function reading(): Promise<T> {
    if (underWay === undefined && failure !== undefined && ageOf(failure) < retryAfter) throw failure.error;
    return (underWay ??= readNow());
  }

  return {
    async get() {
      if (value !== undefined && ageOf(value) < freshFor) return value.read;
      try {
        return await reading();
      } catch (error) {
        if (value !== undefined && ageOf(value) < usableFor) return value.read;
        throw error;
      }
    },
    async renew(unlessWithin) {
      if (ageOf(value) < unlessWithin) return false;
      await reading();
      return true;
    },
    known: () => value?.read,
  };
}
