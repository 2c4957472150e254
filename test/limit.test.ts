/** Counting who asks how often: within a sliding window, and over processes that exchange what they counted. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { prepareStore, type Store } from '../src/data';
import { native } from '../src/database';
import { registerRateLimits, shareLimits, type LimitPolicy, type SharedLimits } from '../src/edge';
import { dropTestStore, loudly, openTestStore } from './helpers/system';

let store: Store;
let now = 1_800_000_000_000;
const open: SharedLimits[] = [];

beforeAll(async () => {
  store = await openTestStore();
  registerRateLimits(store.connection);
  await prepareStore(store);
});
afterEach(async () => {
  for (const limits of open.splice(0)) await limits.stop();
});
afterAll(() => dropTestStore(store));

function limitsOf(policy: LimitPolicy, log = loudly): SharedLimits {
  const limits = shareLimits({ ...store, policies: [policy], log, now: () => now });
  open.push(limits);
  return limits;
}

const window = 10_000;
function limitOf(most: number, name = 'key') {
  const shared = limitsOf({ name, most, window });
  const limit = shared.get(name);
  if (limit === undefined) throw new Error('there is no limit');
  return {
    exchange: () => shared.exchange(),
    /** How many of so many are allowed. */
    take: (count: number, who = 'somebody') =>
      Array.from({ length: count }, () => limit.take(who, now)).filter(({ allowed }) => allowed).length,
    look: (who = 'somebody') => limit.look(who, now),
  };
}

describe('a limit', () => {
  test('lets so many through in a window, each of them apart, and says how many are left', () => {
    const { take, look } = limitOf(10);
    expect(take(4)).toBe(4);
    expect(look()).toEqual({ allowed: true, remaining: 6, seconds: 10 });
    expect(take(100)).toBe(6);
    expect(look()).toMatchObject({ allowed: false, remaining: 0 });
    expect(take(3, 'somebody else')).toBe(3);
  });

  test('slides: what was counted weighs less and less, and nothing is due all at once', () => {
    now = Math.ceil(now / window) * window;
    const { take, look } = limitOf(10);
    expect(take(10)).toBe(10);
    // The wait it names is long enough, and not much longer.
    const { seconds } = look();
    now += (seconds - 1) * 1000 - 1;
    expect(take(1)).toBe(0);
    now += 1001;
    expect(take(1)).toBe(1);
    now += window / 2;
    expect(take(10)).toBe(5);
    now += 2 * window;
    expect(take(20)).toBe(10);
  });

  test('bounds what it remembers', () => {
    const { take } = limitOf(1);
    expect(take(1, 'first')).toBe(1);
    for (let n = 0; n < 100_000; n += 1) take(1, `address ${n}`);
    expect(take(1, 'address 99999')).toBe(0);
    expect(take(1, 'first')).toBe(1);
  });
});

describe('two processes', () => {
  test('share a limit, and write nobody down by name', async () => {
    const [one, other] = [limitOf(100, 'shared'), limitOf(100, 'shared')];
    expect([one.take(60, '203.0.113.9'), other.take(30, '203.0.113.9')]).toEqual([60, 30]);
    await one.exchange();
    await other.exchange();
    await one.exchange();
    expect(other.take(100, '203.0.113.9')).toBe(10);
    await other.exchange();
    one.take(1, '203.0.113.9');
    await one.exchange();
    expect(one.take(100, '203.0.113.9')).toBeLessThan(10);
    const kept = await native(registerRateLimits(store.connection))
      .find({ _id: /:shared:/ })
      .toArray();
    expect(kept).toHaveLength(1);
    expect(JSON.stringify(kept)).not.toContain('203.0.113');
    expect(kept[0]?.until.getTime()).toBeGreaterThan(now);
  });

  test('that begin at the same moment lose nothing, and a repeat counts once', async () => {
    const all = Array.from({ length: 5 }, () => limitOf(1000, 'at once'));
    for (const one of all) one.take(100);
    await Promise.all(all.map((one) => one.exchange()));
    for (const one of all) await one.exchange();
    for (const one of all) await one.exchange();
    for (const one of all) await one.exchange();
    expect(all.map(({ look }) => look().remaining)).toEqual([500, 500, 500, 500, 500]);
  });

  test('do not tell of those who come nowhere near it', async () => {
    const counts = native(registerRateLimits(store.connection));
    const one = limitOf(10_000, 'far');
    for (let n = 0; n < 500; n += 1) one.take(1, `address ${n}`);
    await one.exchange();
    expect(await counts.countDocuments({ _id: /:far:/ })).toBe(0);
  });

  test('count alone while the database is away', async () => {
    const away = await openTestStore();
    const said: string[] = [];
    const shared = shareLimits({
      ...away,
      policies: [{ name: 'key', most: 10, window }],
      log: { warn: (_meta, message) => said.push(message) },
      now: () => now,
    });
    await dropTestStore(away);
    const limit = shared.get('key');
    const allowed = Array.from({ length: 20 }, () => limit?.take('somebody', now)).filter((one) => one?.allowed);
    expect(allowed).toHaveLength(10);
    await shared.exchange();
    await shared.exchange();
    expect(said).toEqual(['rate limits are not shared for now; each process counts alone']);
    await shared.stop();
  });
});
