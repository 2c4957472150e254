/**
 * R21: the master key is replaced while everything goes on: by processes that can be killed, under traffic, and with erasures
 * that destroy keys meanwhile.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { localKeyProvider } from '../src/vault';
import { ablauf } from './helpers/command';
import { addKeys, mastersOf } from './helpers/keys';
import { startProcesses, type ProcessSystem } from './helpers/processes';
import { masterKey, region } from './helpers/system';

const nextKey = 'sk-test-the-next-master-key-of-some-length';
const [old, next] = [localKeyProvider(masterKey, region), localKeyProvider(nextKey, region)];

describe('step by step, in processes of their own', () => {
  let system: ProcessSystem;
  beforeAll(async () => {
    system = await startProcesses({ LITELLM_MASTER_KEY_NEXT: nextKey });
  }, 120_000);
  afterAll(() => system.stop());

  test('R21: it is said what will happen, and it happens', async () => {
    const { keyStore } = await system.vault();
    await addKeys(keyStore, region, old, 2000);
    const status = await ablauf(system.environment, 'keys', 'status');
    expect(status).toMatchObject({ code: 0, err: '' });
    expect(status.out).toMatch(new RegExp(`${old.id} {2}\\d{4} {2}in use`));
    expect(status.out).toContain(`${next.id}  0  next`);
    const said = await ablauf(system.environment, 'keys', 'rotate');
    expect(said).toMatchObject({ code: 0, err: '' });
    expect(said.out).toContain(`keys will be wrapped under ${next.id} (next)`);
    expect(said.out).toMatch(
      new RegExp(`Done: \\d{4} keys are wrapped under ${next.id} and no other; 0 stay destroyed`),
    );
    expect(Object.keys(await mastersOf(keyStore))).toEqual([next.id]);
    const again = await ablauf(system.environment, 'keys', 'rotate');
    expect(again.out).toContain(`There is nothing to do: every key is wrapped under ${next.id}.`);
  }, 120_000);
});
