/** The contract, held against the whole system by a fuzzer: two minutes of what it offers, and of what it does not. */
import { expectClean } from './helpers/fuzzed-system';

const seconds = Number(process.env['ABLAUF_FUZZ_SECONDS'] ?? 100);
const seed = Number(process.env['ABLAUF_FUZZ_SEED'] ?? 20_261_123);

it(
  'holds against whatever the contract lets a client send, and whatever it does not',
  () => expectClean(seconds, seed),
  (seconds + 600) * 1000,
);
