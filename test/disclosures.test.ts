/** R24: how a disclosure stands, by the clock; and that nobody can overlook one that is missing or overdue. */
import {
  addProviders,
  categoryLabel,
  dataCategories,
  registerProviders,
  removeProvider,
  replaceProvider,
  statusOf,
  watchDisclosures,
  type Provider,
  type ProviderEntry,
} from '../src/disclosures';
import { ensureSchedules } from '../src/temporal';
import { disclosuresWorkflowType } from '../src/workflows';
import { providerEntry } from './helpers/providers';
import { admin, startSystem, type System } from './helpers/system';

const day = 24 * 60 * 60 * 1000;

describe('the status', () => {
  const given = { disclosure: { givenOn: '2026-01-10' }, nextReview: '2026-06-30' };

  it.each([
    ['never asked for', {}, '2026-01-01T00:00:00Z', 'missing'],
    ['asked for, not given', { disclosure: { askedOn: '2026-01-01' } }, '2026-01-02T00:00:00Z', 'missing'],
    [
      'asked for, not given, a review ahead',
      { disclosure: { askedOn: '2026-01-01' }, nextReview: '2090-01-01' },
      '2026-01-02T00:00:00Z',
      'missing',
    ],
    ['given, its review far away', given, '2026-05-30T23:59:59Z', 'complete'],
    ['given, thirty days before its review', given, '2026-05-31T00:00:00Z', 'due-soon'],
    ['given, on the day of its review', given, '2026-06-30T23:59:59.999Z', 'due-soon'],
    ['given, the day after', given, '2026-07-01T00:00:00Z', 'overdue'],
    ['given, without a review', { disclosure: { givenOn: '2026-01-10' } }, '2026-01-11T00:00:00Z', 'overdue'],
  ])('%s', (_, provider, now, status) => {
    expect(statusOf(provider, new Date(now))).toBe(status);
  });
});

test('each category of the data map has words for customers, in both languages (src/disclosures/categories.ts)', () => {
  const wordless = dataCategories.filter((category) => {
    const { en, de } = categoryLabel(category);
    return en === category && de === category;
  });
  expect(wordless).toEqual([]);
});

describe('the watch', () => {
  let system: System;
  let told: string[];
  const start = new Date('2026-03-01T12:00:00Z');

  beforeAll(async () => {
    system = await startSystem();
  }, 120_000);
  afterAll(() => system.stop());
  beforeEach(async () => {
    told = [];
    await registerProviders(system.store.connection).collection.deleteMany({});
  });

  const entry = (name: string, change: Partial<ProviderEntry> = {}) =>
    ({ draft: false, ...providerEntry(name), ...change }) as ProviderEntry;
  const act = () => ({ at: new Date(), actor: admin });

  async function add(name: string, change: Partial<ProviderEntry> = {}): Promise<Provider> {
    const [added] = await system.store.transaction((session) =>
      addProviders(system.store, session, [entry(name, change)], act()),
    );
    if (added === undefined) throw new Error('nothing was added');
    return added;
  }

  const replace = (id: string, name: string, change: Partial<ProviderEntry> = {}) =>
    system.store.transaction((session) => replaceProvider(system.store, session, id, entry(name, change), act()));

  /** Looks at so many days after the start; what was told of comes in `told`. */
  const look = (days: number) => {
    told = [];
    return watchDisclosures(system.store, new Date(start.getTime() + days * day), ({ name, status, over }) => {
      told.push(`${name} ${status}${over ? ' over' : ''}`);
    });
  };

  async function recorded(): Promise<string[]> {
    const { entries } = system.store.audit;
    const found = await entries
      .find({ action: /^provider\.disclosure-/ })
      .sort({ at: 1 })
      .lean()
      .exec();
    return found.map(
      ({ action, details }) => `${String(details['name'])} ${action.slice('provider.disclosure-'.length)}`,
    );
  }

  it('tells of what is missing once a day, and is silent about what is in order', async () => {
    await add('Fine');
    await add('Silent', { disclosure: { askedOn: '2026-01-01' } });
    expect(await look(0)).toEqual({ missing: 1, overdue: 0 });
    expect(told).toEqual(['Silent missing']);
    await look(0.9);
    expect(told).toEqual([]);
    await look(1);
    expect(told).toEqual(['Silent missing']);
    await look(1.5);
    expect(told).toEqual([]);
    expect(await recorded()).toEqual(['Silent missing']);
  });

  it('puts each change on record once, and says when it is over', async () => {
    const { _id, version } = await add('Late', { disclosure: undefined, nextReview: undefined });
    await look(0);
    await replace(_id, 'Late', { nextReview: '2026-03-05' });
    await look(0.1);
    expect(told).toEqual(['Late missing over']);
    expect(await look(6)).toEqual({ missing: 0, overdue: 1 });
    expect(told).toEqual(['Late overdue']);
    await look(6.5);
    expect(told).toEqual([]);
    await replace(_id, 'Late', { disclosure: { askedOn: '2026-03-06' }, nextReview: '2026-03-05' });
    await look(6.6);
    expect(told).toEqual(['Late overdue over', 'Late missing']);
    await replace(_id, 'Late');
    await look(6.7);
    expect(told).toEqual(['Late missing over']);
    await look(8);
    expect(told).toEqual([]);
    const late = (await recorded()).filter((line) => line.startsWith('Late'));
    expect(late).toEqual(['Late missing', 'Late settled', 'Late overdue', 'Late missing', 'Late settled']);
    // What the watch notes is no change of the entry: nobody's If-Match fails by it.
    const stored = await registerProviders(system.store.connection).collection.findOne({ _id: _id as never });
    expect(stored).toMatchObject({ version: version + 3 });
  });

  it('ends an alarm with its entry', async () => {
    const { _id } = await add('Leaving', { disclosure: undefined, nextReview: undefined });
    await look(0);
    await system.store.transaction((session) => removeProvider(system.store, session, _id, act()));
    expect(await look(0.1)).toEqual({ missing: 0, overdue: 0 });
    expect(told).toEqual(['Leaving missing over']);
    await look(5);
    expect(told).toEqual([]);
  });

  it('tells of each once, however many look at one moment', async () => {
    await add('Shared', { disclosure: undefined, nextReview: undefined });
    const all: string[] = [];
    await Promise.all(
      [1, 2, 3].map(() => watchDisclosures(system.store, start, ({ name, status }) => all.push(`${name} ${status}`))),
    );
    expect(all).toEqual(['Shared missing']);
    expect((await recorded()).filter((line) => line.startsWith('Shared'))).toEqual(['Shared missing']);
  });

  it('changes nothing where its entry in the log is refused, and makes up for it', async () => {
    const { _id } = await add('Refused', { disclosure: undefined, nextReview: undefined });
    const broken = {
      ...system.store,
      audit: { ...system.store.audit, append: () => Promise.reject(new Error('no space left')) },
    };
    await expect(watchDisclosures(broken, start, () => told.push('told'))).rejects.toThrow('no space left');
    expect(told).toEqual([]);
    const stored = await registerProviders(system.store.connection).collection.findOne({ _id: _id as never });
    expect(stored).not.toHaveProperty('alarm');
    await look(0);
    expect(told).toEqual(['Refused missing']);
  });

  it('is begun every hour by a schedule, and its outcome says how many there are', async () => {
    await add('Scheduled', { disclosure: undefined, nextReview: undefined });
    const { client, taskQueue, store } = system;
    const region = `${store.region}-disclosures`;
    await ensureSchedules({ client, region, taskQueue });
    const handle = client.schedule.getHandle(`disclosures/${region}`);
    expect(await handle.describe()).toMatchObject({
      spec: { intervals: [{ every: 3_600_000 }] },
      policies: { overlap: 'SKIP' },
      action: { workflowType: disclosuresWorkflowType, taskQueue },
    });
    for (const id of ['sweep', 'courses', 'disclosures']) await client.schedule.getHandle(`${id}/${region}`).delete();
    const outcome: unknown = await client.workflow.execute(disclosuresWorkflowType, {
      workflowId: `disclosures/${region}/run-1`,
      taskQueue,
      args: [{ region }],
    });
    expect(outcome).toEqual({ missing: 1, overdue: 0 });
    expect(await recorded()).toContain('Scheduled missing');
  });
});
