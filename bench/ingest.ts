/**
 * Taking in full batches of LiteLLM's, against `insertMany` of the very documents that are stored in the end, and against the
 * same without encryption.
 */
import { randomUUID } from 'node:crypto';
import { categories, ingest, splitItems, type Store } from '../src/data';
import { liteLlmCall } from '../scripts/support/traffic';
import { summaryOf, type Figure } from './figures';
import { byTurns, timed, type Benchmark } from './harness';
import { withoutEncryption } from './plain-vault';
import { startApi } from './service';
import { addAccounts, dropStore, freshStore } from './stores';

const batchSize = 512;
const batchesPerTurn = 4;
const turns = 7;
const accounts = Array.from({ length: 20 }, (_, index) => `acct-ingest-${index}`);
const accountPaths = [['metadata', 'user_api_key_org_id']];

/** The documents of one batch, by collection: records, receipts and what the batch comes to in totals. */
type Stored = readonly (readonly [collection: string, documents: Stub[]])[];
type Stub = Readonly<Record<string, unknown>> & { readonly _id: string };

/** A turn's work, for either side: request bodies, their items, and what is stored of them. */
interface Load {
  readonly bodies: readonly string[];
  readonly items: readonly (readonly unknown[])[];
  readonly stored: readonly Stored[];
}

export const ingesting: Benchmark = {
  name: 'ingest',
  async run(ground, say) {
    const store = await freshStore(ground, 'ingest');
    const template = await freshStore(ground, 'ingest_template');
    const raw = await freshStore(ground, 'ingest_raw');
    const clear = await freshStore(ground, 'ingest_clear');
    await Promise.all([store, template, clear].map((each) => addAccounts(each, accounts)));
    const api = await startApi(ground, 'ingest');
    const ways: readonly (readonly [title: string, take: (load: Load, batch: number) => Promise<unknown>])[] = [
      ['of parsed items', (load, batch) => ingest(store, load.items[batch] ?? [], accountPaths)],
      ['from the text of a body', (load, batch) => ingest(store, splitItems(load.bodies[batch] ?? ''), accountPaths)],
      ['posted to the API', (load, batch) => api.post('/v1/ingest/litellm', load.bodies[batch] ?? '')],
    ];
    const figures: Figure[] = [];
    for (const [title, take] of ways) {
      say(title);
      let load: Load = { bodies: [], items: [], stored: [] };
      let prepared = NaN;
      const prepare = async (turn: number) => {
        if (prepared !== turn) load = await makeLoad(template);
        prepared = turn;
      };
      const pairs = await byTurns(
        async (turn) => {
          await prepare(turn);
          return timed(async () => {
            for (let batch = 0; batch < batchesPerTurn; batch += 1) assertTaken(await take(load, batch));
          });
        },
        async (turn) => {
          await prepare(turn);
          return timed(async () => {
            for (const batch of load.stored) await insertRaw(raw, batch);
          });
        },
        { turns },
      );
      const rate = (batchSize * batchesPerTurn * 1000) / summaryOf(pairs.map(({ ours }) => ours)).median;
      figures.push({
        name: `Ingest ${title}, rate to raw \`insertMany\``,
        values: pairs.map(({ ours, theirs }) => theirs / ours),
        target: { atLeast: 0.6 },
        remark: `${rate.toFixed(0)} events a second`,
      });
    }
    await api.stop();
    say('with encryption and without');
    figures.push(await encryptionCost(store, withoutEncryption(clear)));
    await Promise.all([store, template, raw, clear].map(dropStore));
    return figures;
  },
};

/** The same batches, encrypted and in the clear: shorter turns, and more of them, since the difference is small. */
async function encryptionCost(store: Store, clear: Store): Promise<Figure> {
  let items: Load['items'] = [];
  let prepared = NaN;
  const take = async (into: Store, turn: number) => {
    if (prepared !== turn) items = makeItems();
    prepared = turn;
    return timed(async () => {
      for (const batch of items) assertTaken(await ingest(into, batch, accountPaths));
    });
  };
  const pairs = await byTurns(
    (turn) => take(store, turn),
    (turn) => take(clear, turn),
    { turns: 2 * turns + 1 },
  );
  return {
    name: 'Ingest of parsed items, rate to the same without encryption',
    values: pairs.map(({ ours, theirs }) => theirs / ours),
    target: { atLeast: 0.75 },
  };
}

function makeItems(): Load['items'] {
  return Array.from({ length: batchesPerTurn }, () =>
    Array.from({ length: batchSize }, (_, index) => liteLlmCall({ account: accounts[index % accounts.length] ?? '' })),
  );
}

function assertTaken(result: unknown): void {
  const accepted = typeof result === 'object' && result !== null && 'accepted' in result ? result.accepted : undefined;
  if (accepted !== batchSize) throw new Error(`${JSON.stringify(result)}: not all of ${batchSize} events were taken`);
}

/** Makes events nobody has seen yet, and finds out what is stored of them by storing them elsewhere first. */
async function makeLoad(template: Store): Promise<Load> {
  const items = makeItems();
  const stored: Stored[] = [];
  const { records, receipts, totals } = template;
  const collections = [...categories.map((category) => records[category]), receipts, totals].map(({ collection }) => ({
    name: collection.collectionName,
    all: template.connection.collection<Stub>(collection.collectionName),
  }));
  for (const batch of items) {
    for (const { all } of collections) await all.deleteMany({});
    await ingest(template, batch, accountPaths);
    const documents: [string, Stub[]][] = [];
    for (const { name, all } of collections) documents.push([name, await all.find<Stub>({}).toArray()]);
    // Totals are added to by each batch; here each batch's share is a document of its own.
    const [, shares = []] = documents.at(-1) ?? [];
    documents.splice(-1, 1, [
      totals.collection.collectionName,
      shares.map((share) => ({ ...share, _id: randomUUID() })),
    ]);
    stored.push(documents);
  }
  return { items, bodies: items.map((batch) => JSON.stringify(batch)), stored };
}

async function insertRaw(store: Store, batch: Stored): Promise<void> {
  const database = store.connection.getClient().db(store.connection.name);
  for (const [collection, documents] of batch) {
    await database.collection<Stub>(collection).insertMany(documents);
  }
}
