/** Keys for the API. A key is shown once, when it is made; what is stored cannot be turned back into it. */
import { randomBytes } from 'node:crypto';
import type { ClientSession } from 'mongoose';
import { z } from 'zod';
import {
  hashOf,
  newKey,
  permissions,
  registerKeys,
  type ApiKeyDocument,
  type Principal,
  type Scope,
} from '../../access';
import { protect, type Opened } from '../../data';
import { native } from '../../database';
import { formatDuration, parseDuration } from '../../lifecycle';
import { durationSchema } from '../../lifecycle/schemas';
import { answers, pageOf as pageShapeOf } from '../answers/words';
import { pageById } from '../pages';
import { createKeyView, keyShape, newKeyShape } from '../keys';
import { invalid, notFound, Problem } from '../problems';
import { route, type Call, type Route } from '../route';
import { keyParamsSchema, newKeySchema, noQuerySchema, pageSchema } from '../schemas';
import { openAccount } from '../standing';
import type { Workshop } from '../workshop';
import { write, type Write } from '../writes';

type NewKey = z.output<typeof newKeySchema>;
const listName = 'api-keys';
const collection = 'apiKeys';
/** Thirty days, in milliseconds. */
const longestOverlap = 2_592_000_000;

/** How long the old key goes on beside the new one. */
const rotationSchema = z.strictObject({
  overlap: durationSchema
    .default('P1D')
    .transform((text) => parseDuration(text))
    .refine((overlap) => overlap <= longestOverlap, `must be at most ${formatDuration(longestOverlap)}`),
});
type Rotation = z.output<typeof rotationSchema>;

export function keyRoutes(workshop: Workshop): Route[] {
  const { store, keys: keyring, clock } = workshop;
  const { vault } = store;
  const keys = native(registerKeys(store.connection));
  const view = createKeyView(workshop);
  return [
    route({
      method: 'get',
      path: '/v1/api-keys',
      roles: permissions.readKeys,
      onRecord: 'keys.read',
      summary: 'Lists keys, without what opens anything.',
      query: pageSchema,
      answers: answers(pageShapeOf(keyShape), 'A page of keys'),
      async handle({ query }) {
        const page = await pageById(keys, listName, query);
        return { status: 200, body: { ...page, items: await view.stored(page.items) } };
      },
    }),
    route({
      method: 'post',
      path: '/v1/api-keys',
      roles: permissions.manageKeys,
      stepUp: 'keys',
      summary: 'Makes a key and shows it this once.',
      query: noQuerySchema,
      body: newKeySchema,
      answers: { 201: { description: 'The key, shown this once.', schema: newKeyShape } },
      problems: ['not-found', 'account-erased'],
      handle: create,
    }),
    route({
      method: 'get',
      path: '/v1/api-keys/:id',
      roles: permissions.readKeys,
      summary: 'A key, without what opens anything.',
      params: keyParamsSchema,
      query: noQuerySchema,
      answers: { 200: { description: 'The key.', schema: keyShape } },
      async handle({ params }) {
        const [shown] = await view.stored([await find(params.id)]);
        return { status: 200, body: shown };
      },
    }),
    route({
      method: 'post',
      path: '/v1/api-keys/:id/rotate',
      roles: permissions.manageKeys,
      stepUp: 'keys',
      summary: 'Makes a key that takes over from another one, which goes on for a while.',
      params: keyParamsSchema,
      query: noQuerySchema,
      body: rotationSchema,
      answers: { 201: { description: 'The new key, shown this once.', schema: newKeyShape } },
      problems: ['account-erased'],
      handle: rotate,
    }),
    route({
      method: 'delete',
      path: '/v1/api-keys/:id',
      roles: permissions.manageKeys,
      stepUp: 'keys',
      summary: 'Revokes a key.',
      params: keyParamsSchema,
      query: noQuerySchema,
      answers: { 204: { description: 'It opens nothing any more.' } },
      async handle(call) {
        const { id } = call.params;
        const answer = await write(workshop, call, async (session) => {
          const found = await find(id, session);
          if (found.revokedAt !== undefined) return { answer: { status: 204 } };
          await keys.updateOne({ _id: id }, { $set: { revokedAt: clock() } }, { session });
          return { answer: { status: 204 }, entry: { action: 'key.revoked', ...subjectOf(found) } };
        });
        keyring.forget(id);
        return answer;
      },
    }),
  ];

  async function find(id: string, session?: ClientSession): Promise<ApiKeyDocument> {
    const found = await keys.findOne<ApiKeyDocument>({ _id: id }, session === undefined ? {} : { session });
    if (found === null) throw notFound('there is no such key');
    return found;
  }

  async function create(call: Call<unknown, unknown, NewKey>) {
    const { name, role, account, expiresAt, scopes } = call.body;
    const now = clock();
    if (expiresAt !== undefined && expiresAt <= now)
      throw invalid([{ path: 'expiresAt', detail: 'must lie in the future' }]);
    assertOwnScopes(call.principal, scopes);
    const { key, hash } = fresh();
    const document: Opened<ApiKeyDocument> = {
      _id: newId(),
      ...(name === undefined ? {} : { name }),
      role,
      ...(account === undefined ? {} : { account }),
      ...(scopes.length === 0 ? {} : { scopes }),
      hash,
      createdAt: now,
      createdBy: call.principal.actor.id,
      ...(expiresAt === undefined ? {} : { expiresAt }),
    };
    return write(workshop, call, (session) => insert(call, document, key, session, 'key.created', {}));
  }

  /** The same role, account, scopes, name and end: a rotation changes what opens, and not what it opens. */
  async function rotate(call: Call<{ id: string }, unknown, Rotation>) {
    const { id } = call.params;
    const { key, hash } = fresh();
    const _id = newId();
    const answer = await write(workshop, call, async (session) => {
      const now = clock();
      const found = await find(id, session);
      assertRotatable(found, now);
      assertOwnScopes(call.principal, found.scopes ?? []);
      const endsAt = new Date(Math.min(now.getTime() + call.body.overlap, found.expiresAt?.getTime() ?? Infinity));
      const { rotatedFrom: _before, ...rest } = await view.opened(found);
      const document = { ...rest, _id, hash, createdAt: now, createdBy: call.principal.actor.id, rotatedFrom: id };
      await keys.updateOne({ _id: id }, { $set: { expiresAt: endsAt, rotatedTo: _id } }, { session });
      const details = { rotatedFrom: id, endsAt: endsAt.toISOString() };
      return insert(call, document, key, session, 'key.rotated', details);
    });
    keyring.forget(id);
    return answer;
  }

  async function insert(
    call: Call,
    document: Opened<ApiKeyDocument>,
    key: string,
    session: ClientSession,
    action: string,
    more: Readonly<Record<string, string>>,
  ): Promise<Write> {
    const { account } = document;
    if (account !== undefined) await assertLives(call, account, session);
    const cipher = account === undefined ? await vault.systemCipher('staff') : await vault.cipherOf(account);
    await keys.insertOne(protect<ApiKeyDocument>(cipher, collection, document), { session });
    const shown = view.made(document);
    const { details, ...subject } = subjectOf(document);
    return {
      answer: {
        status: 201,
        body: { ...shown, key },
        replay: shown,
        headers: { Location: `/v1/api-keys/${document._id}` },
      },
      entry: { action, details: { ...details, ...more }, ...subject },
    };
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

/** Nobody makes a key that is stronger than they are. Who has just signed in holds every scope. */
function assertOwnScopes({ shown }: Principal, scopes: readonly Scope[]): void {
  const missing = shown.by === 'key' ? scopes.filter((scope) => !shown.scopes.includes(scope)) : [];
  if (missing.length === 0) return;
  throw new Problem(
    'forbidden',
    `a key does not give the scopes it has not been given itself: ${missing.join(', ')}`,
  ).because('scope');
}

function assertRotatable({ revokedAt, expiresAt, rotatedTo }: ApiKeyDocument, now: Date): void {
  if (revokedAt !== undefined) throw new Problem('conflict', 'the key is revoked');
  if (rotatedTo !== undefined) throw new Problem('conflict', `another key has taken over from this one: ${rotatedTo}`);
  if (expiresAt !== undefined && expiresAt <= now) throw new Problem('conflict', 'the key has expired');
}

function fresh() {
  const key = newKey();
  return { key, hash: hashOf(key) };
}

function newId(): string {
  return `key_${randomBytes(12).toString('hex')}`;
}

type Subject = Pick<ApiKeyDocument, '_id' | 'role' | 'account' | 'expiresAt' | 'scopes'>;

function subjectOf({ _id, role, account, expiresAt, scopes }: Subject) {
  const details = {
    key: _id,
    role,
    ...(scopes === undefined ? {} : { scopes }),
    ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() }),
  };
  return { details, ...(account === undefined ? {} : { account }) };
}
