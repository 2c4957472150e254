/** Keys for the API. A key is shown once, when it is made; what is stored cannot be turned back into it. */
import { randomBytes } from 'node:crypto';
import type { ClientSession } from 'mongoose';
import { z } from 'zod';
import { protect, reveal, type Opened } from '../../data';
import { native } from '../../database';
import { hashOf, newKey, permissions, registerKeys, type ApiKeyDocument } from '../../access';
import { pageOf, positionIn } from '../cursors';
import { invalid, notFound, Problem } from '../problems';
import { route, type Call, type Route } from '../route';
import { keyParamsSchema, newKeySchema, noQuerySchema, pageSchema } from '../schemas';
import { openAccount } from '../standing';
import type { Workshop } from '../workshop';
import { UnreadableValueError, type Cipher } from '../../vault';
import { write } from '../writes';

type NewKey = z.output<typeof newKeySchema>;
const listName = 'api-keys';
const collection = 'apiKeys';

export function keyRoutes(workshop: Workshop): Route[] {
  const { store, keys: keyring, clock, log } = workshop;
  const { vault } = store;
  const keys = native(registerKeys(store.connection));
  return [
    route({
      method: 'get',
      path: '/v1/api-keys',
      roles: permissions.readKeys,
      summary: 'Lists keys, without what opens anything.',
      query: pageSchema,
      async handle({ query }) {
        const after = positionIn(listName, query.cursor, z.tuple([z.string()]));
        const documents = await keys
          .find<ApiKeyDocument>(after === undefined ? {} : { _id: { $gt: after[0] } })
          .sort({ _id: 1 })
          .limit(query.limit + 1)
          .toArray();
        const page = pageOf(
          documents,
          query.limit,
          listName,
          ({ _id }) => [_id],
          (document) => document,
        );
        return { status: 200, body: { ...page, items: await keysFor(page.items) } };
      },
    }),
    route({
      method: 'post',
      path: '/v1/api-keys',
      roles: permissions.manageKeys,
      summary: 'Makes a key and shows it this once.',
      query: noQuerySchema,
      body: newKeySchema,
      handle: create,
    }),
    route({
      method: 'delete',
      path: '/v1/api-keys/:id',
      roles: permissions.manageKeys,
      summary: 'Revokes a key.',
      params: keyParamsSchema,
      query: noQuerySchema,
      async handle(call) {
        const { id } = call.params;
        const answer = await write(workshop, call, async (session) => {
          const found = await keys.findOne<ApiKeyDocument>({ _id: id }, { session });
          if (found === null) throw notFound('there is no such key');
          if (found.revokedAt !== undefined) return { answer: { status: 204 } };
          await keys.updateOne({ _id: id }, { $set: { revokedAt: clock() } }, { session });
          return { answer: { status: 204 }, entry: { action: 'key.revoked', ...subjectOf(found) } };
        });
        keyring.forget(id);
        return answer;
      },
    }),
  ];

  async function create(call: Call<unknown, unknown, NewKey>) {
    const { name, role, account, expiresAt } = call.body;
    const now = clock();
    if (expiresAt !== undefined && expiresAt <= now)
      throw invalid([{ path: 'expiresAt', detail: 'must lie in the future' }]);
    const key = newKey();
    const document: Opened<ApiKeyDocument> = {
      _id: `key_${randomBytes(12).toString('hex')}`,
      ...(name === undefined ? {} : { name }),
      role,
      ...(account === undefined ? {} : { account }),
      hash: hashOf(key),
      createdAt: now,
      createdBy: call.principal.actor.id,
      ...(expiresAt === undefined ? {} : { expiresAt }),
    };
    return write(workshop, call, async (session) => {
      if (account !== undefined) await assertLives(call, account, session);
      const cipher = account === undefined ? await vault.systemCipher('staff') : await vault.cipherOf(account);
      await keys.insertOne(protect<ApiKeyDocument>(cipher, collection, document), { session });
      const shown = keyFor(document);
      return {
        answer: { status: 201, body: { ...shown, key }, replay: shown },
        entry: { action: 'key.created', ...subjectOf(document) },
      };
    });
  }

  /** A name that cannot be opened is left out: its key is known by its id. */
  async function keysFor(documents: readonly ApiKeyDocument[]) {
    const named = documents.filter(({ name }) => name !== undefined);
    const own = await vault.ciphersOf([...new Set(named.flatMap(({ account = [] }) => account))]);
    const staff = await vault.systemCipher('staff');
    return documents.map((document) => {
      const { name: _name, ...nameless } = document;
      const cipher = document.account === undefined ? staff : own.get(document.account);
      return keyFor(cipher === undefined ? nameless : revealed(cipher, document, nameless));
    });
  }

  function revealed(
    cipher: Cipher,
    document: ApiKeyDocument,
    nameless: Opened<ApiKeyDocument>,
  ): Opened<ApiKeyDocument> {
    try {
      return reveal(cipher, collection, document);
    } catch (error) {
      if (!(error instanceof UnreadableValueError)) throw error;
      log.error({ err: error, key: document._id }, 'the name of a key cannot be opened');
      return nameless;
    }
  }

  /** A key made while its account is being erased would outlive it: passing the gate makes the two a conflict. */
  async function assertLives({ principal, standing }: Call, account: string, session: ClientSession): Promise<void> {
    await openAccount(workshop, { principal, standing }, account, session);
    const { matchedCount } = await native(store.gates).updateOne(
      { _id: account, open: true },
      { $inc: { passed: 1 } },
      { session },
    );
    if (matchedCount === 0) throw new Problem('conflict', 'the account is being erased');
  }
}

function subjectOf({ _id, role, account, expiresAt }: Pick<ApiKeyDocument, '_id' | 'role' | 'account' | 'expiresAt'>) {
  const details = { key: _id, role, ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() }) };
  return { details, ...(account === undefined ? {} : { account }) };
}

function keyFor({ _id, name, role, account, createdAt, createdBy, expiresAt, revokedAt }: Opened<ApiKeyDocument>) {
  return {
    id: _id,
    ...(name === undefined ? {} : { name }),
    role,
    ...(account === undefined ? {} : { account }),
    createdAt: createdAt.toISOString(),
    createdBy,
    ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() }),
    ...(revokedAt === undefined ? {} : { revokedAt: revokedAt.toISOString() }),
  };
}
