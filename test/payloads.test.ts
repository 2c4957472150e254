/** R21: what Temporal stores is encrypted, on clients, workers and in its database's own files. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, WorkflowUpdateFailedError, type Connection } from '@temporalio/client';
import { defaultPayloadConverter, type ApplicationFailure, type Payload, type PayloadCodec } from '@temporalio/common';
import { mongo } from 'mongoose';
import { startTemporal, type RunningTemporal } from '../src/embedded';
import { contextOf, openVault, type Vault } from '../src/vault';
import type { Store } from '../src/data';
import { createPayloadCodec, openCourses, OutcomeUnknownError, UnreadablePayloadError } from '../src/temporal';
import { searchAttributeTypes } from '../src/workflows';
import { courseSettings } from './helpers/courses';
import { eventually } from './helpers/eventually';
import { admin, dropTestStore, openTestStore, startSystem, workflowIdOf, type System } from './helpers/system';

const plain = (value: unknown): Payload => defaultPayloadConverter.toPayload(value);
const valueOf = (payload: Payload = {}): unknown => defaultPayloadConverter.fromPayload(payload);
const metadataOf = ({ metadata }: Payload) =>
  Object.fromEntries(Object.entries(metadata ?? {}).map(([name, bytes]) => [name, Buffer.from(bytes).toString()]));

function flipped(bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

function altered(payload: Payload, at: number): Payload {
  return { ...payload, data: flipped(payload.data ?? new Uint8Array(), at) };
}

describe('the codec', () => {
  let vault: Vault;
  let codec: PayloadCodec;
  let drop: () => Promise<void>;

  beforeAll(async () => {
    const store = await openTestStore();
    drop = () => dropTestStore(store);
    vault = store.vault;
    codec = createPayloadCodec(vault);
  });
  afterAll(() => drop());

  async function encoded(value: unknown): Promise<Payload> {
    const [payload] = await codec.encode([plain(value)]);
    if (payload === undefined) throw new Error('nothing was encoded');
    return payload;
  }

  test('R21: gives back what it was given, and says which key opens it', async () => {
    const values = ['text', { nested: [1, null, 'ü'] }, undefined, new Uint8Array([0, 255])];
    const stored = await codec.encode(values.map(plain));
    expect((await codec.decode(stored)).map(valueOf)).toEqual(values);
    for (const payload of stored) {
      expect(metadataOf(payload)).toEqual({
        encoding: 'binary/encrypted',
        'encryption-key-id': 'eu-central-1/system/payloads/1',
      });
    }
    expect(Buffer.from((await encoded('a canary')).data ?? []).includes('canary')).toBe(false);
    expect(await codec.encode([])).toEqual([]);
  });

  test('passes through what it did not encode, others mixed in or not', async () => {
    const foreign: Payload = {
      metadata: { encoding: Buffer.from('binary/encrypted'), 'encryption-key-id': Buffer.from('theirs') },
      data: Buffer.from('anything'),
    };
    const bare: Payload = { data: Buffer.from('without metadata') };
    expect(await codec.decode([plain('by hand'), foreign, bare])).toEqual([plain('by hand'), foreign, bare]);
    const [first, second, third] = await codec.decode([plain('by hand'), await encoded('by us'), foreign]);
    expect([valueOf(first), valueOf(second), third]).toEqual(['by hand', 'by us', foreign]);
  });

  test.each([
    ['its format', 0],
    ['its kind', 1],
    ['its key version', 5],
    ['its nonce', 8],
    ['its ciphertext', 24],
    ['its tag', -1],
  ])('R21: a payload altered in %s does not open, by name', async (_what, at) => {
    const stored = await encoded('a value long enough to be altered in any place');
    const bad = altered(stored, at < 0 ? (stored.data?.length ?? 0) + at : at);
    await expect(codec.decode([bad])).rejects.toMatchObject({ name: 'UnreadablePayloadError' });
    await expect(codec.decode([{ ...stored, data: Buffer.alloc(3) }])).rejects.toBeInstanceOf(UnreadablePayloadError);
  });

  test('R25: a payload of another region is refused before any key is asked', async () => {
    const theirs = createPayloadCodec({ ...vault, region: 'us-east-1' });
    const [payload] = await theirs.encode([plain('theirs')]);
    await expect(codec.decode([payload ?? {}])).rejects.toThrow(/belongs to us-east-1/);
    const relabelled = { ...payload, metadata: (await encoded('ours')).metadata ?? {} };
    await expect(codec.decode([relabelled])).resolves.toHaveLength(1);
  });

  test('R21: while keys are rotated, what was encoded under either version opens', async () => {
    const before = await encoded('before');
    const { keys } = vault.keyStore;
    const id = 'system/payloads';
    const key = randomBytes(32);
    const wrapped = async (version: number) => ({
      wrapped: new mongo.Binary(await vault.master.wrap(key, contextOf(vault.region, id, version))),
      master: vault.master.id,
    });
    const found = await keys.findOne({ _id: id });
    const versions = [...(found?.versions ?? []), { version: 2, at: new Date(), ...(await wrapped(2)) }];
    await keys.updateOne({ _id: id }, { $set: { versions, current: 2 } });
    // Another process, which has read the keys since.
    const beside = await openVault({ keyStore: vault.keyStore, region: vault.region, master: vault.master });
    const rotated = createPayloadCodec(beside);
    const [after] = await rotated.encode([plain('after')]);
    expect(metadataOf(after ?? {})['encryption-key-id']).toBe('eu-central-1/system/payloads/2');
    expect((await rotated.decode([before, after ?? {}])).map(valueOf)).toEqual(['before', 'after']);
    await expect(codec.decode([after ?? {}])).rejects.toThrow(/no key of version 2/);
  });
});

describe('on real servers', () => {
  let system: System;
  /** While set, the worker finds every payload altered on the disk. */
  let broken = false;

  beforeAll(async () => {
    system = await startSystem({ store: onBadDisk });
  });
  afterAll(() => system.stop());

  function onBadDisk(store: Store): Store {
    const { vault } = store;
    return {
      ...store,
      vault: {
        ...vault,
        async systemCipher(name) {
          const cipher = await vault.systemCipher(name);
          if (name !== 'payloads') return cipher;
          return {
            ...cipher,
            open(sealed, place) {
              return cipher.open(broken && sealed instanceof Uint8Array ? flipped(sealed, 30) : sealed, place);
            },
          };
        },
      },
    };
  }

  const idOf = (account: string) => workflowIdOf(system.store.region, account);

  test('R21: a refusal is told to the caller, and to nobody who reads the history', async () => {
    const id = await system.createAccount();
    const secret = `canary-${randomUUID()}`;
    const refused = await system.client.workflow
      .getHandle(idOf(id))
      .executeUpdate('suspend', { args: [{ reason: secret }] })
      .catch((error: unknown) => error);
    if (!(refused instanceof WorkflowUpdateFailedError)) throw new Error('it was not refused');
    const failure = refused.cause as ApplicationFailure;
    expect(failure.type).toBe('Refused');
    expect(failure.message).not.toBe('Encoded failure');
    const { events } = await system.client.workflow.getHandle(idOf(id)).fetchHistory();
    expect(JSON.stringify(events)).toContain('Encoded failure');
    expect(JSON.stringify(events)).not.toContain(failure.message);
  });

  test('a message sent by hand, not encoded, counts as it did', async () => {
    const id = await system.createAccount();
    const byHand = new Client({ connection: system.client.connection });
    await byHand.workflow.getHandle(idOf(id)).signal('suspend', { reason: 'other', note: 'by hand' });
    await eventually('it is suspended', async () => (await system.account(id)).state === 'suspended' || undefined);
  });

  test('R21: nobody acts on an altered payload: the account stands still, and goes on once it is put right', async () => {
    const id = await system.createAccount();
    broken = true;
    await system.client.workflow.getHandle(idOf(id)).signal('suspend', { reason: 'other' });
    await eventually('a task fails', async () => {
      const { events } = await system.client.workflow.getHandle(idOf(id)).fetchHistory();
      return events?.find(({ workflowTaskFailedEventAttributes: failed }) => failed);
    });
    expect((await system.account(id)).state).toBe('active');
    expect(await system.actions(id)).toEqual(['account.created']);
    broken = false;
    await eventually('it is suspended', async () => (await system.account(id)).state === 'suspended' || undefined);
    expect(await system.actions(id)).toEqual(['account.created', 'account.suspended']);
  });

  test('R21: an answer that does not open leaves the outcome unknown, and a repeat with the same id tells it', async () => {
    const codec = createPayloadCodec(system.store.vault);
    const unreading: PayloadCodec = {
      encode: (payloads) => codec.encode(payloads),
      decode: (payloads) => codec.decode(payloads.map((payload) => altered(payload, 30))),
    };
    const connection = system.client.connection as Connection;
    const client = new Client({ connection, dataConverter: { payloadCodecs: [unreading] } });
    const courses = openCourses({ connection, client, region: system.store.region, taskQueue: system.taskQueue });
    const id = await system.createAccount();
    const send = [id, 'suspend', { reason: 'other' }, { actor: admin }, randomUUID()] as const;
    await expect(courses.send(...send)).rejects.toBeInstanceOf(OutcomeUnknownError);
    expect(await system.courses.send(...send)).toMatchObject({ seq: 2 });
    expect(await system.actions(id)).toEqual(['account.created', 'account.suspended']);
  });
});

describe("Temporal's database files", () => {
  let folder: string;
  let temporal: RunningTemporal;
  let system: System;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ablauf-payloads-'));
    temporal = await startTemporal({
      dataDir: folder,
      port: 0,
      namespace: 'default',
      searchAttributes: searchAttributeTypes,
    });
    system = await startSystem({ address: temporal.address, settings: courseSettings });
  }, 120_000);
  afterAll(async () => {
    await system.stop();
    await temporal.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** A journal can end between looking and reading. */
  const ended = () => Buffer.alloc(0);

  /** Which of the texts are in any of the files, byte by byte. */
  async function found(texts: readonly string[]): Promise<string[]> {
    const files = await readdir(folder);
    expect(files).toContain('temporal.db');
    const bytes = await Promise.all(files.map((file) => readFile(join(folder, file)).catch(ended)));
    return texts.filter((text) => bytes.some((file) => file.includes(text)));
  }

  test("R21: after an account's whole life nothing of what was said about it is there", async () => {
    const canary = (what: string) => `canary-${what}-${randomBytes(9).toString('hex')}`;
    const said = {
      note: canary('note'),
      resolved: canary('resolved'),
      ignored: canary('ignored'),
      reason: canary('reason'),
      actor: canary('actor'),
      refused: canary('refused'),
      address: `${canary('address')}@example.org`,
    };
    const id = await system.createAccount();
    await system.send(id, 'suspend', { reason: 'other', note: said.note });
    await system.send(id, 'reinstate', { resolved: ['other'], note: said.resolved });
    const { hold } = await system.send(id, 'placeHold', { reason: said.reason });
    await system.send(id, 'suspend', { reason: said.refused }).catch(() => undefined);
    const handle = system.client.workflow.getHandle(workflowIdOf(system.store.region, id));
    await handle.signal('suspend', { reason: said.ignored, note: said.address });
    await system.send(id, 'close', { note: said.note }, { actor: { type: 'user', id: said.actor, role: 'operator' } });
    await system.send(id, 'releaseHold', { holdId: hold?.id });
    await eventually('it is erased', async () => (await system.account(id)).state === 'erased' || undefined);
    await handle.result();

    // What the search would find if it were there: the id, and a message that was not encoded.
    const other = await system.createAccount();
    const control = canary('control');
    const byHand = new Client({ connection: system.client.connection });
    await byHand.workflow.getHandle(workflowIdOf(system.store.region, other)).signal('wake', control);
    expect((await found([id, control])).sort()).toEqual([id, control].sort());
    const profile = [`Name of ${id}`, `${id}@example.org`];
    expect(await found([...Object.values(said), ...profile])).toEqual([]);
    // Nor what summaries and details say: they are payloads too.
    expect(await found(['The course of account', 'Record step', 'legal holds:'])).toEqual([]);
  }, 120_000);
});
