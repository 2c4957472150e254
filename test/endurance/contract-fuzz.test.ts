/** The contract, held against the whole system by a fuzzer for twenty minutes, each time from another seed. */
import { randomInt } from 'node:crypto';
import { expectClean } from '../helpers/fuzzed-system';

const seconds = Number(process.env['ABLAUF_FUZZ_SECONDS'] ?? 1200);
const seed = Number(process.env['ABLAUF_FUZZ_SEED'] ?? randomInt(2 ** 31));

it(
  'holds against twenty minutes of whatever a client can send',
  () => expectClean(seconds, seed),
  (seconds + 900) * 1000,
);
