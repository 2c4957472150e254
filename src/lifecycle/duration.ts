/**
 * ISO 8601 durations of fixed length: weeks, days, hours, minutes and seconds.
 *
 * A day is 24 hours of UTC, never a calendar day of some time zone, so that a period has the same length wherever and
 * whenever it runs. Months and years have no fixed length and are refused.
 */

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** The longest period anybody may set: ten years of 365 days. */
export const MAX_PERIOD = 3650 * day;

/** What a duration looks like. */
export const durationPattern = /^P(?=\d|T\d)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/;

/** A text that is not a duration this product accepts. */
export class DurationError extends Error {
  override readonly name = 'DurationError';
}

/**
 * Reads a duration.
 *
 * @param text ISO 8601 with the designators W, D, H, M (after T) and S, whole numbers only, such as `P14D` or `PT90M`
 * @returns its length in milliseconds
 * @throws {DurationError} when the text is anything else; years and months are named as the reason
 */
export function parseDuration(text: string): number {
  const match = durationPattern.exec(text);
  if (match === null) {
    const calendar = /^P[^T]*\d+[YM]/.test(text);
    throw new DurationError(
      calendar
        ? 'years and months have no fixed length; use weeks or days'
        : 'expected an ISO 8601 duration in whole weeks, days, hours, minutes or seconds, such as P14D or PT30S',
    );
  }
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = match
    .slice(1)
    .map((part: string | undefined) => Number(part ?? 0));
  const length = (weeks * 7 + days) * day + hours * hour + minutes * minute + seconds * second;
  if (!Number.isSafeInteger(length)) throw new DurationError('the duration is too long');
  return length;
}

/**
 * Writes a length in its canonical form: days, then hours, minutes and seconds (`PT336H` is `P14D`).
 *
 * @param length milliseconds, a whole number of seconds
 */
export function formatDuration(length: number): string {
  if (length === 0) return 'PT0S';
  const date = Math.floor(length / day) > 0 ? `${Math.floor(length / day)}D` : '';
  const parts: [number, string][] = [
    [Math.floor((length % day) / hour), 'H'],
    [Math.floor((length % hour) / minute), 'M'],
    [Math.floor((length % minute) / second), 'S'],
  ];
  const time = parts.map(([count, unit]) => (count > 0 ? `${count}${unit}` : '')).join('');
  return `P${date}${time === '' ? '' : `T${time}`}`;
}

/** Brings a duration into canonical form. @throws {DurationError} as {@link parseDuration} does */
export function canonicalDuration(text: string): string {
  return formatDuration(parseDuration(text));
}
