/** Wrapping all keys of a region under another master key, as `ablauf keys rotate` has it done. */
import { randomBytes } from 'node:crypto';
import { mongo } from 'mongoose';
import {
  contextOf,
  localKeyProvider,
  masterKeysOf,
  rewrapKeys,
  rewrapSystemKeys,
  surveyKeys,
  type KeyDocument,
  type KeyProvider,
  type KeyStore,
} from '../src/vault';
import { summaryOf } from './figures';
import { timed, type Benchmark } from './harness';
import { dropStore, freshStore, masterKey, region } from './stores';

const accounts = 100_000;
const turns = 3;
const minutes = 60_000;
const filledAtOnce = 2000;

const first = localKeyProvider(masterKey, region);
const second = localKeyProvider('sk-bench-the-next-master-key-of-some-length', region);

export const rotation: Benchmark = {
  name: 'rotation',
  async run(ground, say) {
    const store = await freshStore(ground, 'rotation');
    const { keyStore } = store.vault;
    try {
      say(`making ${accounts} keys`);
      await fill(keyStore);
      const values: number[] = [];
      for (let turn = 0; turn < turns; turn += 1) {
        say(`re-wrapping, ${turn + 1} of ${turns}`);
        values.push(await timed(() => rotate(keyStore, turn % 2 === 0 ? second : first)));
      }
      const rate = accounts / (summaryOf(values).median / 1000);
      return [
        {
          name: `Wrapping ${accounts} account keys under another master key, and looking through all of them before and after`,
          values,
          unit: 'ms',
          target: { atMost: 5 * minutes },
          judgedBy: 'worst',
          remark: `${rate.toFixed(0)} keys a second`,
        },
      ];
    } finally {
      await dropStore(store);
    }
  },
};

/** What the workflow's steps do, one after the other. */
async function rotate(keyStore: KeyStore, to: KeyProvider): Promise<void> {
  const masters = masterKeysOf(first, second, []);
  await surveyKeys(keyStore, { region, accepted: new Set(masters.accepted.keys()) });
  await rewrapSystemKeys(keyStore, region, masters, to);
  const { rewrapped, failures } = await rewrapKeys(keyStore, region, masters, to, { enough: () => false });
  const { strangers } = await surveyKeys(keyStore, { region, accepted: new Set([to.id]) });
  if (rewrapped !== accounts || failures.length + strangers > 0) throw new Error(`${rewrapped} keys were re-wrapped`);
}

async function fill({ keys }: KeyStore): Promise<void> {
  for (let made = 0; made < accounts; made += filledAtOnce) {
    await keys.insertMany(await Promise.all(Array.from({ length: filledAtOnce }, newKey)));
  }
}

async function newKey(): Promise<KeyDocument> {
  const id = `account/${randomBytes(32).toString('base64url')}`;
  const at = new Date();
  const wrap = async (version: number | 'index') => ({
    wrapped: new mongo.Binary(await first.wrap(randomBytes(32), contextOf(region, id, version))),
    master: first.id,
  });
  const versions = [{ version: 1, at, ...(await wrap(1)) }];
  return { _id: id, region, createdAt: at, current: 1, versions, index: await wrap('index'), revision: 1 };
}
