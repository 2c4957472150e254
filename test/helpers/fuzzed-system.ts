/** A whole system of processes to be fuzzed: accounts of every state, a key of every role, and no way off this machine. */
import { join } from 'node:path';
import { fuzz, fuzzer, narrowed, NoFuzzerError, type Fuzzed } from './fuzzer';
import { startProcesses, type ProcessSystem } from './processes';

/** How the time is shared: who may do most is asked for longest. */
const shares = { admin: 0.5, customer: 0.2, operator: 0.1, legal: 0.1, gateway: 0.05, auditor: 0.05 };
const accounts = ['fuzz-1', 'fuzz-2', 'fuzz-3', 'fuzz-4', 'fuzz-5', 'fuzz-own'];

/** Fuzzes a system for so many seconds, and expects that nothing is found. Where there is no fuzzer, says so. */
export async function expectClean(seconds: number, seed: number): Promise<void> {
  const program = await fuzzer().catch((error: unknown) => {
    if (!(error instanceof NoFuzzerError)) throw error;
    process.stderr.write(`the contract is not fuzzed here: ${error.message}\n`);
    return undefined;
  });
  if (program === undefined) return;
  const results = await fuzzSystem(program, seconds, seed);
  const cases = results.map(({ role, cases: asked }) => `${role} ${asked}`).join(', ');
  process.stderr.write(`fuzzed for ${seconds} s with seed ${seed}; cases: ${cases}\n`);
  for (const { failures, report } of results) if (failures > 0) process.stderr.write(report);
  expect(results.map(({ role, failures }) => [role, failures])).toEqual(results.map(({ role }) => [role, 0]));
  for (const { role, cases: asked } of results) expect([role, asked > 0]).toEqual([role, true]);
}

async function fuzzSystem(program: string, seconds: number, seed: number): Promise<Fuzzed[]> {
  const system = await startProcesses({
    NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --require ${join(__dirname, 'loopback-only.cjs')}`,
    // A fuzzer guesses, and means to: what it is answered is to be judged, not how often it asks.
    ABLAUF_RATE_LIMIT_ADDRESS: '0',
    ABLAUF_RATE_LIMIT_ATTEMPTS: '0',
    ABLAUF_GRACE_PERIOD: 'P14D',
    ABLAUF_EXPIRY_PERIOD: 'P30D',
    ABLAUF_MIN_PERIOD: 'PT1M',
    ABLAUF_MIN_NOTICE: 'P7D',
  });
  try {
    const contract = await system.ask<Readonly<Record<string, unknown>>>('GET', '/openapi.json');
    for (const id of accounts) await created(system, id);
    const askers = Object.entries(shares).map(([role, share]) => ({
      role,
      key: () => (role === 'admin' ? Promise.resolve(system.adminKey) : keyOf(system, role)),
      seconds: Math.ceil(seconds * share),
    }));
    const results = await fuzz(program, { url: system.url, contract: narrowed(contract.body, accounts), askers, seed });
    const ready = await system.ask('GET', '/readyz');
    if (ready.status !== 200) throw new Error(`after all that it does not serve any more: ${ready.status}`);
    return results;
  } finally {
    await system.stop();
  }
}

async function created(system: ProcessSystem, id: string): Promise<void> {
  const body = { id, name: id, email: `${id}@example.org`, plan: 'enterprise' };
  const { status } = await system.ask('POST', '/v1/accounts', body);
  if (status !== 201) throw new Error(`no account was made: ${status}`);
}

async function keyOf(system: ProcessSystem, role: string): Promise<string> {
  const body = { role, ...(role === 'customer' ? { account: 'fuzz-own' } : {}) };
  const { status, body: made } = await system.ask<{ key: string }>('POST', '/v1/api-keys', body);
  if (status !== 201) throw new Error(`no key was made: ${status}`);
  return made.key;
}
