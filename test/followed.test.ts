/** Remembering what was read until it changes: what is told by a real change stream, also one that is cut, and every interleaving. */
import { connect, followChanges, remember, type ChangeFeed } from '../src/database';
import { startCutter, type Cutter } from './helpers/cutter';
import { eventually } from './helpers/eventually';
import { dropTestStore, openTestStore, required } from './helpers/system';
import type { Store } from '../src/data';

/** A feed in the hands of a test. */
function handFeed() {
  const told: ((id?: unknown) => void)[] = [];
  const state = { current: true };
  const feed: Pick<ChangeFeed, 'on' | 'isCurrent'> = {
    on: (_collection, changed) => void told.push(changed),
    isCurrent: () => state.current,
  };
  return { feed: feed as ChangeFeed, state, tell: (id?: unknown) => told.forEach((changed) => changed(id)) };
}

interface Thing {
  readonly id: string;
  readonly value: string;
}

/** Reads that end when the test says so. */
function handReads() {
  const waiting: { key: string; answer: (thing: Thing | undefined) => void; fail: (error: Error) => void }[] = [];
  const read = (key: string) =>
    new Promise<Thing | undefined>((answer, fail) => {
      waiting.push({ key, answer, fail });
    });
  const next = () => {
    const first = waiting.shift();
    if (first === undefined) throw new Error('nothing is being read');
    return first;
  };
  return { read, next, count: () => waiting.length };
}

const lag = 60_000;

describe('remembering', () => {
  const setUp = (more: { lag?: number; most?: number } = {}) => {
    const { feed, state, tell } = handFeed();
    const reads = handReads();
    const memory = remember<Thing>({
      feed,
      collection: 'things',
      read: reads.read,
      idOf: ({ id }) => id,
      lag,
      ...more,
    });
    return { memory, state, tell, reads };
  };
  const thing = (value: string, id = 'one'): Thing => ({ id, value });

  it('reads once, and answers at once from then on', async () => {
    const { memory, reads } = setUp();
    const asked = [memory.get('a'), memory.get('a')];
    expect(reads.count()).toBe(1);
    reads.next().answer(thing('first'));
    for (const one of asked) expect(await one).toEqual(thing('first'));
    expect(memory.get('a')).toEqual(thing('first'));
  });

  it('never remembers what was read before a change, whichever of the two is heard of first', async () => {
    const { memory, tell, reads } = setUp();
    const before = memory.get('a');
    tell('one');
    // Who asks after the change is not given the answer of the question before it.
    const after = memory.get('a');
    expect(reads.count()).toBe(2);
    reads.next().answer(thing('old'));
    expect(await before).toEqual(thing('old'));
    expect(memory.get('a')).toBe(after);
    reads.next().answer(thing('new'));
    expect(await after).toEqual(thing('new'));
    expect(memory.get('a')).toEqual(thing('new'));
    tell('one');
    expect(memory.get('a')).toBeInstanceOf(Promise);
  });

  it('never remembers the old value when the old answer comes after the new one', async () => {
    const { memory, tell, reads } = setUp();
    const before = memory.get('a');
    const old = reads.next();
    tell();
    const after = memory.get('a');
    reads.next().answer(thing('new'));
    expect(await after).toEqual(thing('new'));
    old.answer(thing('old'));
    expect(await before).toEqual(thing('old'));
    expect(memory.get('a')).toEqual(thing('new'));
  });

  it('forgets every key of a document that changed, and no other', async () => {
    const { memory, tell, reads } = setUp();
    for (const [key, id] of [
      ['a', 'one'],
      ['b', 'one'],
      ['c', 'two'],
    ] as const) {
      const asked = memory.get(key);
      reads.next().answer(thing(key, id));
      await asked;
    }
    tell('one');
    expect(memory.get('c')).toEqual(thing('c', 'two'));
    expect(memory.get('a')).toBeInstanceOf(Promise);
    expect(memory.get('b')).toBeInstanceOf(Promise);
  });

  it('forgets everything where anything may have changed', async () => {
    const { memory, tell, reads } = setUp();
    const asked = memory.get('a');
    reads.next().answer(thing('a'));
    await asked;
    const missing = memory.get('b');
    reads.next().answer(undefined);
    await missing;
    expect(memory.get('b')).toBeUndefined();
    tell();
    expect(memory.get('a')).toBeInstanceOf(Promise);
    expect(memory.get('b')).toBeInstanceOf(Promise);
  });

  it('reads anew while changes cannot be followed, but for what was read a moment ago', async () => {
    const { memory, state, reads } = setUp({ lag: 50 });
    const asked = memory.get('a');
    reads.next().answer(thing('first'));
    await asked;
    await pause(80);
    expect(memory.get('a')).toEqual(thing('first'));
    state.current = false;
    const anew = memory.get('a');
    reads.next().fail(new Error('the database is away'));
    await expect(anew).rejects.toThrow('away');
    state.current = true;
    expect(memory.get('a')).toEqual(thing('first'));
  });

  it('does not wait for an answer that is long due, which may be older than what has changed since', async () => {
    const { memory, reads } = setUp({ lag: 50 });
    const before = memory.get('a');
    const late = reads.next();
    await pause(80);
    const after = memory.get('a');
    reads.next().answer(thing('new'));
    expect(await after).toEqual(thing('new'));
    late.answer(thing('old'));
    expect(await before).toEqual(thing('old'));
  });

  it('asks again for what there was not, after a moment', async () => {
    const { memory, reads } = setUp({ lag: 50 });
    const asked = memory.get('a');
    reads.next().answer(undefined);
    expect(await asked).toBeUndefined();
    expect(memory.get('a')).toBeUndefined();
    await pause(80);
    const again = memory.get('a');
    reads.next().answer(thing('new'));
    expect(await again).toEqual(thing('new'));
  });

  it('asks again after a failure', async () => {
    const { memory, reads } = setUp();
    const asked = memory.get('a');
    reads.next().fail(new Error('the database is away'));
    await expect(asked).rejects.toThrow('away');
    const again = memory.get('a');
    reads.next().answer(thing('there'));
    expect(await again).toEqual(thing('there'));
  });

  it('holds so many things and no more, and thousands of wrong keys displace none', async () => {
    const { memory, reads } = setUp({ most: 3 });
    const fill = async (key: string, found: Thing | undefined) => {
      const asked = memory.get(key);
      reads.next().answer(found);
      await asked;
    };
    for (const key of ['a', 'b', 'c']) await fill(key, thing(key, key));
    for (let n = 0; n < 1000; n += 1) await fill(`wrong-${n}`, undefined);
    expect(['a', 'b', 'c'].map((key) => memory.get(key))).toEqual(['a', 'b', 'c'].map((key) => thing(key, key)));
    await fill('d', thing('d', 'd'));
    expect(memory.get('a')).toBeInstanceOf(Promise);
    expect(memory.get('b')).toEqual(thing('b', 'b'));
  });
});

describe('following changes', () => {
  let store: Store;
  let cutter: Cutter;
  let feed: ChangeFeed;
  let warned: string[];
  let connection: Awaited<ReturnType<typeof connect>>;
  const told: unknown[] = [];

  beforeEach(async () => {
    store = await openTestStore();
    await store.connection.createCollection('followed');
    await store.connection.createCollection('other');
    cutter = await startCutter(new URL(required('ABLAUF_TEST_MONGODB')));
    const uri = new URL(required('ABLAUF_TEST_MONGODB'));
    uri.host = `127.0.0.1:${cutter.port}`;
    uri.pathname = `/${store.connection.name}`;
    uri.searchParams.set('directConnection', 'true');
    connection = await connect({ uri: uri.href });
    warned = [];
    told.length = 0;
    feed = followChanges(connection, {
      collections: ['followed'],
      log: { warn: (_meta, message) => void warned.push(message) },
    });
    feed.on('followed', (id) => void told.push(id));
    await seen(() => feed.isCurrent(500));
    told.length = 0;
  }, 60_000);
  afterEach(async () => {
    await feed.stop();
    await connection.close();
    await cutter.stop();
    await dropTestStore(store);
  });

  const things = () => store.connection.collection<{ _id: string; n: number }>('followed');

  it('tells of inserts, updates and deletions by their ids, and of no other collection', async () => {
    await things().insertOne({ _id: 'a', n: 1 });
    await things().updateOne({ _id: 'a' }, { $set: { n: 2 } });
    await store.connection.collection<{ _id: string }>('other').insertOne({ _id: 'x' });
    await things().deleteOne({ _id: 'a' });
    expect(await feed.caughtUp(10_000)).toBe(true);
    expect(told).toEqual(['a', 'a', 'a']);
  });

  it('has told of everything that was acknowledged once it says that it has caught up', async () => {
    for (let n = 0; n < 20; n += 1) {
      await things().insertOne({ _id: `n-${n}`, n });
      expect(await feed.caughtUp(10_000)).toBe(true);
      expect(told).toContain(`n-${n}`);
    }
  });

  it('says that it is not current while its stream is cut, once; and that anything may have changed when it is back', async () => {
    cutter.cut();
    await seen(() => !feed.isCurrent(1000));
    expect(await feed.caughtUp(50)).toBe(false);
    await things().insertOne({ _id: 'unseen', n: 1 });
    await seen(() => warned.length > 0);
    told.length = 0;
    cutter.mend();
    await seen(() => feed.isCurrent(1000));
    expect(told).toContain(undefined);
    expect(warned).toHaveLength(1);
    told.length = 0;
    await things().updateOne({ _id: 'unseen' }, { $set: { n: 2 } });
    expect(await feed.caughtUp(10_000)).toBe(true);
    expect(told).toEqual(['unseen']);
  });

  it('notices a stream on which nothing comes any more, though nobody closed it', async () => {
    cutter.freeze();
    await things().insertOne({ _id: 'meanwhile', n: 1 });
    await seen(() => !feed.isCurrent(1000));
    cutter.cut();
    cutter.mend();
    await seen(() => feed.isCurrent(1000));
    // Where the stream could be taken up again, of this very change; otherwise, that there may have been any.
    expect(told.includes('meanwhile') || told.includes(undefined)).toBe(true);
  });

  it('refuses to listen to what it does not follow', () => {
    expect(() => feed.on('other', () => undefined)).toThrow('not followed');
  });

  it('says that anything may have changed where a collection goes', async () => {
    await things().insertOne({ _id: 'a', n: 1 });
    await feed.caughtUp(10_000);
    told.length = 0;
    await things().drop();
    await seen(() => told.includes(undefined));
  });
});

function seen(look: () => boolean): Promise<true> {
  return eventually('what the test waits for', () => Promise.resolve(look() ? true : undefined), 30_000);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
