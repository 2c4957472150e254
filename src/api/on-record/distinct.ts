/** Counting how many different texts there were, in a kilobyte however many come (HyperLogLog). */
import { createHmac, randomBytes } from 'node:crypto';

const bits = 10;
const registers = 2 ** bits;
/** For so many registers. */
const bias = 0.7213 / (1 + 1.079 / registers);

/** About how many different texts were added: exact enough for small numbers, a few per cent off for large ones. */
export class Distinct {
  readonly #ranks = new Uint8Array(registers);
  // Whoever could foretell the hashes could choose texts that look like few, or like many.
  readonly #secret = randomBytes(16);

  add(text: string): void {
    const hash = createHmac('sha256', this.#secret).update(text).digest();
    const register = hash.readUInt16BE(0) >> (16 - bits);
    const rank = Math.clz32(hash.readUInt32BE(2)) + 1;
    if (rank > (this.#ranks[register] ?? 0)) this.#ranks[register] = rank;
  }

  get size(): number {
    let sum = 0;
    let empty = 0;
    for (const rank of this.#ranks) {
      sum += 2 ** -rank;
      if (rank === 0) empty += 1;
    }
    const estimate = (bias * registers * registers) / sum;
    // While many registers are empty, how many says it better.
    const isSmall = estimate <= 2.5 * registers && empty > 0;
    return Math.round(isSmall ? registers * Math.log(registers / empty) : estimate);
  }
}
