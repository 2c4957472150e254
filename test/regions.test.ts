/** R25: two regions side by side, completely separate. Each refuses everything of the other, by name. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from '@temporalio/client';
import { liteLlmCall } from '../scripts/support/traffic';
import { openStore, prepareStore } from '../src/data';
import { startService } from '../src/embedded';
import { assertNamespace, connectLazily } from '../src/temporal';
import { localKeyProvider, openKeyStore, openVault, type Vault } from '../src/vault';
import { eventually } from './helpers/eventually';
import { startProcesses, type ProcessSystem } from './helpers/processes';
import { masterKey } from './helpers/system';

const european = 'eu-central-1';
const american = 'us-east-1';
type Site = typeof european | typeof american;

/** What each region is given to keep: readable ids and contents nobody else has. */
function canaryOf(site: Site) {
  const mark = randomBytes(6).toString('hex');
  return { account: `acct-${site}-${mark}`, name: `Canary ${mark} Ltd`, prompt: `the canary of ${site} sings ${mark}` };
}

const canaries = { [european]: canaryOf(european), [american]: canaryOf(american) };
let systems: Readonly<Record<Site, ProcessSystem>>;

beforeAll(async () => {
  const settings = { ABLAUF_GRACE_PERIOD: 'P14D', ABLAUF_EXPIRY_PERIOD: 'P30D' };
  // The same master key for both, by mistake.
  const [eu, us] = await Promise.all(
    [european, american].map((site) => startProcesses({ ...settings, ABLAUF_REGION: site })),
  );
  if (eu === undefined || us === undefined) throw new Error('both were started');
  systems = { [european]: eu, [american]: us };
}, 240_000);

afterAll(async () => {
  await Promise.all(Object.values(systems).map((system) => system.stop()));
}, 120_000);

const other = (site: Site): Site => (site === european ? american : european);

function uriOf(site: Site, which: 'ABLAUF_MONGODB_URI' | 'ABLAUF_VAULT_URI'): string {
  return systems[site].environment[which] ?? '';
}

/** A call of an account's, as its gateway reports it. */
function callOf(account: string, prompt: string, region?: string) {
  const item = liteLlmCall({ account, prompt }) as { metadata: Record<string, unknown> };
  if (region === undefined) return item;
  return { ...item, metadata: { ...item.metadata, user_api_key_auth_metadata: { ablauf_region: region } } };
}

/** Every byte of every file below a folder: the database's, its log's, Temporal's, the processes'. */
async function bytesOf(folder: string): Promise<Buffer> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Buffer.concat(await Promise.all(files.map((file) => readFile(file).catch(() => Buffer.alloc(0)))));
}

describe('each lives its own life', () => {
  test.each<Site>([european, american])('%s keeps an account, its data and its course', async (site) => {
    const { account, name, prompt } = canaries[site];
    const system = systems[site];
    const body = { id: account, name, email: 'canary@example.org', plan: 'standard' };
    expect(await system.ask('POST', '/v1/accounts', body)).toMatchObject({ status: 201, body: { region: site } });
    const taken = await system.ask('POST', '/v1/ingest/litellm', [callOf(account, prompt, site)]);
    expect(taken).toMatchObject({ status: 202, body: { accepted: 1 } });
    const suspended = await system.ask('POST', `/v1/accounts/${account}/suspend`, { reason: 'other' });
    expect(suspended).toMatchObject({ status: 200, body: { state: 'suspended', region: site } });
  });

  test('nothing of one is in the files of the other: databases, their logs, Temporal, the processes', async () => {
    for (const site of [european, american] as const) {
      const own = await bytesOf(systems[site].folder);
      const { account, name, prompt } = canaries[other(site)];
      expect(own.includes(canaries[site].account)).toBe(true);
      for (const text of [account, name, prompt]) expect([text, own.includes(text)]).toEqual([text, false]);
      // Not even that there is another region: workflow ids, task queues and keys carry their own alone.
      for (const text of [`account/${other(site)}/`, `ablauf-${other(site)}`, `sweep/${other(site)}`]) {
        expect([text, own.includes(text)]).toEqual([text, false]);
      }
    }
  });
});

describe('a process refuses to begin on what belongs to the other', () => {
  async function vaultOf(keys: Site, region: Site): Promise<Vault> {
    const keyStore = await openKeyStore({ uri: uriOf(keys, 'ABLAUF_VAULT_URI') });
    try {
      return await openVault({ keyStore, region, master: localKeyProvider(masterKey, region) });
    } catch (error) {
      await keyStore.connection.close();
      throw error;
    }
  }

  test.each<Site>([european, american])('the database of %s', async (site) => {
    const uri = uriOf(site, 'ABLAUF_MONGODB_URI');
    const vault = await vaultOf(other(site), other(site));
    const store = await openStore({ uri, region: other(site), vault });
    const before = await store.connection.listCollections();
    await expect(prepareStore(store)).rejects.toMatchObject({
      name: 'WrongRegionError',
      message: expect.stringContaining(`belongs to ${site}, and this process to ${other(site)}`),
    });
    expect(await store.connection.listCollections()).toHaveLength(before.length);
    await store.close();
  });

  test.each<Site>([european, american])('the key store of %s, even with the same master key', async (site) => {
    await expect(vaultOf(site, other(site))).rejects.toMatchObject({ name: 'VaultRegionError' });
  });

  test.each<Site>([european, american])('the namespace of %s', async (site) => {
    const connection = connectLazily(systems[site].temporalAddress);
    const client = new Client({ connection, namespace: 'default' });
    // The worker marks its namespace with its sweep soon after it has begun.
    const scheduleId = `sweep/${site}`;
    await eventually('the sweep is there', () =>
      client.workflowService.describeSchedule({ namespace: 'default', scheduleId }),
    );
    await expect(assertNamespace(client, other(site))).rejects.toMatchObject({
      name: 'WrongRegionError',
      message: expect.stringContaining(`belongs to ${site}, and this process to ${other(site)}`),
    });
    await assertNamespace(client, site);
    await connection.close();
  });

  test.each([
    ['server.ts', 'ABLAUF_MONGODB_URI', 'WrongRegionError'],
    ['worker.ts', 'ABLAUF_VAULT_URI', 'VaultRegionError'],
    ['worker.ts', 'ABLAUF_TEMPORAL_ADDRESS', 'WrongRegionError'],
    ['server.ts', 'ABLAUF_TEMPORAL_ADDRESS', 'WrongRegionError'],
  ])(
    '%s with the other %s ends, and says why',
    async (entry, variable, error) => {
      const child = await startService({
        name: entry,
        entry: join(__dirname, '..', 'src', entry),
        env: {
          ...systems[european].environment,
          ABLAUF_PORT: '0',
          ABLAUF_MANAGEMENT_PORT: '0',
          ABLAUF_WORKER_MANAGEMENT_PORT: '0',
          [variable]: systems[american].environment[variable],
        },
        log: join(systems[european].folder, 'refused.log'),
        report: () => undefined,
      });
      expect(await child.exited).toContain('1');
      expect(child.lastLines().join('\n')).toContain(error);
    },
    120_000,
  );

  test('a database whose key store is another one: nothing in it could be read', async () => {
    const uri = new URL(uriOf(european, 'ABLAUF_VAULT_URI'));
    uri.pathname = '/another_vault';
    const keyStore = await openKeyStore({ uri: uri.href });
    const vault = await openVault({ keyStore, region: european, master: localKeyProvider(masterKey, european) });
    const store = await openStore({ uri: uriOf(european, 'ABLAUF_MONGODB_URI'), region: european, vault });
    await expect(prepareStore(store)).rejects.toMatchObject({ name: 'WrongKeyStoreError' });
    await keyStore.connection.dropDatabase();
    await store.close();
  });
});

describe('the same master key opens nothing of the other', () => {
  test('a wrapped key carried over is refused, and does not unwrap', async () => {
    const from = await openKeyStore({ uri: uriOf(american, 'ABLAUF_VAULT_URI') });
    const stolen = await from.keys.findOne({ _id: 'system/payloads' }).then((key) => key ?? from.keys.findOne({}));
    const [version] = stolen?.versions ?? [];
    if (stolen === null || version === undefined) throw new Error('there is a key');
    const context = `${american}/${stolen._id}/${version.version}`;
    const wrapped = Buffer.from(version.wrapped.value());
    await expect(localKeyProvider(masterKey, american).unwrap(wrapped, context)).resolves.toHaveLength(32);
    for (const region of [european, american]) {
      await expect(
        localKeyProvider(masterKey, european).unwrap(wrapped, context.replace(american, region)),
      ).rejects.toMatchObject({ name: 'MasterKeyError' });
    }
    await from.connection.close();
  });
});

describe('what is meant for the other is not taken in', () => {
  test('a request, or all of a batch, that names it: 421, and nothing is stored', async () => {
    const { account } = canaries[european];
    const system = systems[european];
    const prompt = `misdirected ${randomBytes(6).toString('hex')}`;
    for (const named of [american, 'US']) {
      const refused = await system.ask('POST', '/v1/ingest/litellm', [callOf(account, prompt, named)]);
      expect(refused).toMatchObject({ status: 421, body: { code: 'wrong-region' } });
    }
    expect((await bytesOf(system.folder)).includes(prompt)).toBe(false);
  });

  test('part of a batch is refused by name, the rest is taken', async () => {
    const { account } = canaries[european];
    const batch = [callOf(account, 'ours', 'EU'), callOf(account, 'theirs', american), null];
    const answer = await systems[european].ask('POST', '/v1/ingest/litellm', batch);
    expect(answer).toMatchObject({
      status: 202,
      body: {
        discarded: 1,
        rejected: [
          { index: 1, code: 'wrong-region' },
          { index: 2, code: 'empty' },
        ],
      },
    });
  });

  test('an account that came into the database from the other region is not served, and takes no data', async () => {
    const strayed = `acct-strayed-${randomBytes(4).toString('hex')}`;
    const accounts = systems[european].database().collection<{ _id: string }>('accounts');
    const whole = await accounts.findOne({ _id: canaries[european].account });
    await accounts.insertOne({ ...whole, _id: strayed, region: american } as { _id: string });
    const system = systems[european];
    for (const path of ['', '/access', '/timeline']) {
      expect(await system.ask('GET', `/v1/accounts/${strayed}${path}`)).toMatchObject({
        status: 421,
        body: { code: 'wrong-region' },
      });
    }
    const refused = await system.ask('POST', '/v1/ingest/litellm', [callOf(strayed, 'x')]);
    expect(refused).toMatchObject({ status: 421, body: { code: 'wrong-region' } });
    await accounts.deleteOne({ _id: strayed });
  });
});
