/** Corners of erasing an account's data that time alone does not reach. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { liteLlmCall } from '../scripts/support/traffic';
import { categories, ingest, settingsId } from '../src/data';
import { openGridFsArchives } from '../src/exports';
import { eventually } from './helpers/eventually';
import { startSystem, type System } from './helpers/system';

const accountPaths = [['metadata', 'user_api_key_org_id']];

describe('with periods of a second', () => {
  let system: System;
  /** Run when the records of an account are gone, before its workflow hears of it. */
  let justErased: ((account: string) => Promise<void>) | undefined;

  beforeAll(async () => {
    system = await startSystem({
      settings: { gracePeriod: 'PT1S', expiryPeriod: 'PT1S', notice: 'PT0S', minPeriod: 'PT1S' },
      activities: (activities) => ({
        ...activities,
        async eraseAccountData(input) {
          const result = await activities.eraseAccountData(input);
          await justErased?.(input.step.account);
          return result;
        },
      }),
    });
  });

  afterAll(() => system.stop());

  async function erased(id: string): Promise<true | undefined> {
    return (await system.account(id)).state === 'erased' ? true : undefined;
  }

  test('R9: a hold placed as the last record goes stops the end of the erasure, and its release lets it go on at once', async () => {
    const account = await system.createAccount();
    await ingest(
      system.store,
      Array.from({ length: 3 }, () => liteLlmCall({ account })),
      accountPaths,
    );
    let placed: Awaited<ReturnType<System['send']>> | undefined;
    justErased = async (id) => {
      justErased = undefined;
      placed = await system.send(id, 'placeHold', { reason: 'case 4711' });
    };
    await system.send(account, 'close');
    await eventually('the hold is placed', () => Promise.resolve(placed));
    expect(placed?.receipt?.erased).toEqual({
      ...{ prompts: 3, completions: 3, logs: 3, usage: 3 },
      ...{ 'usage-totals': 1, receipts: 3 },
    });
    expect(await system.account(account)).toMatchObject({ state: 'expired', erasing: { halted: true } });
    await system.send(account, 'releaseHold', { holdId: placed?.hold?.id });
    await eventually('the account is erased', () => erased(account));
    const actions = await system.actions(account);
    expect(actions.filter((action) => action !== 'key.destroyed')).toEqual([
      'account.created',
      'account.expired',
      'account.erasure-started',
      'hold.placed',
      'hold.released',
      'account.erasure-started',
      'account.erased',
    ]);
  });

  test('R9: of a hold and an erasure at the same moment one comes first: all is protected, or all counted as gone', async () => {
    const each = 4;
    const ids = await Promise.all(Array.from({ length: 8 }, () => system.createAccount()));
    for (const account of ids) {
      const calls = Array.from({ length: each }, () => liteLlmCall({ account, at: Date.now() - 60_000 }));
      expect((await ingest(system.store, calls, accountPaths)).accepted).toBe(each);
    }
    await Promise.all(ids.map((id) => system.send(id, 'close')));
    const answers = await Promise.all(
      ids.map(async (id, index) => {
        await system.sleep(850 + index * 60);
        return system.send(id, 'placeHold', { reason: 'lawsuit' }).catch((error: unknown) => error);
      }),
    );
    for (const [index, id] of ids.entries()) {
      const answer = answers[index];
      if (answer instanceof Error) await eventually('the erasure that came first is complete', () => erased(id));
      const counts = await Promise.all(
        categories.map(async (set) => [set, await system.store.records[set].countDocuments({ account: id })] as const),
      );
      if (answer instanceof Error) {
        for (const [, left] of counts) expect(left).toBe(0);
        continue;
      }
      expect((await system.account(id)).state).toBe('expired');
      const { receipt } = answer as { receipt?: { erased: Record<string, number> } };
      for (const [set, left] of counts) expect([set, left + (receipt?.erased[set] ?? 0)]).toEqual([set, each]);
    }
  });

  test('R6: an account is erased whatever its id, also one that names something of ours', async () => {
    await system.store.settings.create({ _id: settingsId, version: 1 });
    for (const id of ['policy', 'default', '0', 'a'.repeat(64), '...', `x_${randomUUID()}`]) {
      await system.createAccount({ id });
      await system.send(id, 'close');
      await eventually(`${id} is erased`, () => erased(id));
    }
  });
});

describe('while the storage of exports is away', () => {
  test('R9: an erasure waits for it to be searched, and a hold does not wait with it', async () => {
    let asked = 0;
    const away = () => {
      asked += 1;
      return Promise.reject(new Error('the storage is away'));
    };
    const system = await startSystem({
      settings: { gracePeriod: 'PT1S', expiryPeriod: 'PT1S', notice: 'PT0S', minPeriod: 'PT1S' },
      archives: (store) => ({
        ...openGridFsArchives(store),
        kind: 's3',
        removeAll: () => Promise.resolve(0),
        find: away,
      }),
    });
    try {
      const account = await system.createAccount();
      await system.send(account, 'close');
      await eventually('the search has failed', () => Promise.resolve(asked > 1 ? true : undefined));
      const placed = await eventually('the hold is placed', () =>
        system.send(account, 'placeHold', { reason: 'case 4711' }),
      );
      expect(placed.hold).toBeDefined();
      expect(await system.account(account)).toMatchObject({ state: 'expired', lifecycle: { holds: [placed.hold] } });
    } finally {
      await system.stop();
    }
  });
});

describe('ingest', () => {
  test('an item too large to store is rejected by itself: its neighbours are stored', async () => {
    const system = await startSystem();
    try {
      const account = await system.createAccount();
      // Six million characters of three bytes each: fewer than a document may have, but more than its bytes.
      const items = [
        liteLlmCall({ account }),
        liteLlmCall({ account, prompt: '界'.repeat(6_000_000) }),
        liteLlmCall({ account }),
      ];
      expect(await ingest(system.store, items, accountPaths)).toMatchObject({
        accepted: 2,
        rejected: [{ index: 1, code: 'validation' }],
      });
    } finally {
      await system.stop();
    }
  });
});
