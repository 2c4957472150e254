/** R9: holds on chosen data sets. What they name stays; the rest goes when it is due. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { liteLlmCall } from '../scripts/support/traffic';
import { categories, ingest, openProfile, type Category } from '../src/data';
import { startTimeSkippingSystem, type System } from './helpers/system';

const day = 86_400_000;
let system: System;

beforeAll(async () => {
  system = await startTimeSkippingSystem();
}, 120_000);
afterAll(() => system.stop());

async function accountWithRecords(): Promise<string> {
  const account = await system.createAccount();
  const now = (await system.now()).getTime();
  const calls = Array.from({ length: 5 }, (_, index) => liteLlmCall({ account, at: now - (index + 1) * 1000 }));
  expect((await ingest(system.store, calls, [['metadata', 'user_api_key_org_id']])).accepted).toBe(5);
  return account;
}

async function left(account: string): Promise<Record<Category, number>> {
  const counts = categories.map(async (set) => [set, await system.store.records[set].countDocuments({ account })]);
  return Object.fromEntries((await Promise.all(counts)) as [Category, number][]) as Record<Category, number>;
}

describe('R9: a hold on chosen data sets', () => {
  test('leaves the others to erasure on their day, and its own to the notice after its release', async () => {
    const account = await accountWithRecords();
    const { hold } = await system.send(account, 'placeHold', { reason: 'case 1', datasets: ['prompts', 'logs'] });
    await system.send(account, 'close');
    await system.sleep(31 * day);
    expect(await left(account)).toEqual({ prompts: 5, completions: 0, logs: 5, usage: 0 });
    const waiting = await system.account(account);
    expect(await openProfile(system.store, waiting)).toMatchObject({ state: 'expired', name: `Name of ${account}` });
    expect(waiting.lifecycle.spared).toEqual(expect.arrayContaining(['prompts', 'logs']));
    await system.sleep(100 * day);
    expect(await left(account)).toMatchObject({ prompts: 5, logs: 5 });
    await expect(system.send(account, 'reopen', { note: 'too late' })).rejects.toMatchObject({
      refusal: { code: 'conflict' },
    });
    const released = await system.now();
    await system.send(account, 'releaseHold', { holdId: hold?.id });
    const notice = (await system.account(account)).deadline?.at.getTime() ?? 0;
    expect(Math.round((notice - released.getTime()) / day)).toBe(7);
    await system.sleep(6 * day);
    expect(await left(account)).toMatchObject({ prompts: 5, logs: 5 });
    await system.sleep(2 * day);
    expect(await system.account(account)).toMatchObject({ state: 'erased' });
    expect(await left(account)).toEqual({ prompts: 0, completions: 0, logs: 0, usage: 0 });
    const actions = await system.actions(account);
    expect(actions.filter((action) => action !== 'key.destroyed')).toEqual([
      'account.created',
      'hold.placed',
      'account.expired',
      'account.erasure-started',
      'account.erasure-paused',
      'hold.released',
      'account.erasure-started',
      'account.erased',
    ]);
  });

  test('of two that overlap, what only one named goes after its own release, under notice', async () => {
    const account = await accountWithRecords();
    const first = await system.send(account, 'placeHold', { reason: 'case 1', datasets: ['prompts', 'logs'] });
    const second = await system.send(account, 'placeHold', { reason: 'case 2', datasets: ['logs'] });
    await system.send(account, 'close');
    await system.sleep(40 * day);
    await system.send(account, 'releaseHold', { holdId: first.hold?.id });
    await system.sleep(8 * day);
    expect(await left(account)).toEqual({ prompts: 0, completions: 0, logs: 5, usage: 0 });
    await system.send(account, 'releaseHold', { holdId: second.hold?.id });
    await system.sleep(8 * day);
    expect((await system.account(account)).state).toBe('erased');
  });

  test('placed on the whole account once the rest is gone, answers with a receipt of that and keeps what is left', async () => {
    const account = await accountWithRecords();
    const first = await system.send(account, 'placeHold', { reason: 'case 1', datasets: ['usage'] });
    await system.send(account, 'close');
    await system.sleep(31 * day);
    const whole = await system.send(account, 'placeHold', { reason: 'case 2' });
    expect(whole.receipt?.erased).toMatchObject({ prompts: 5, completions: 5, logs: 5 });
    await system.send(account, 'releaseHold', { holdId: first.hold?.id });
    await system.sleep(60 * day);
    expect(await left(account)).toMatchObject({ usage: 5 });
    await system.send(account, 'releaseHold', { holdId: whole.hold?.id });
    await system.sleep(8 * day);
    expect((await system.account(account)).state).toBe('erased');
  });

  test('ends by itself on its own date, and what it kept goes after the notice', async () => {
    const account = await accountWithRecords();
    const until = new Date((await system.now()).getTime() + 50 * day).toISOString();
    await system.send(account, 'placeHold', { reason: 'case 1', datasets: ['completions'], until });
    await system.send(account, 'close');
    await system.sleep(55 * day);
    expect(await left(account)).toEqual({ prompts: 0, completions: 5, logs: 0, usage: 0 });
    await system.sleep(3 * day);
    expect((await system.account(account)).state).toBe('erased');
  });
});
