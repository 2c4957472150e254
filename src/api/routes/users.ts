/** People who have signed in: who they are, where they are signed in, and for administrators ending that, and blocking them. */
import { z } from 'zod';
import { permissions, registerUsers, type UserDocument } from '../../access';
import type { Opened } from '../../data';
import { native } from '../../database';
import { roles } from '../../lifecycle';
import { pageById } from '../pages';
import { endedEntry, endSessions } from '../sign-in/own-sessions';
import { notFound, Problem } from '../problems';
import { route, type Call, type Route } from '../route';
import { noQuerySchema, pageSchema } from '../schemas';
import { openUser } from '../users';
import type { Workshop } from '../workshop';
import { write } from '../writes';
import { sessionFor, sessionsShape } from './auth-sessions';

const listName = 'users';
const userParamsSchema = z.strictObject({ id: z.string().regex(/^usr_[A-Za-z0-9_-]{22}$/) });
const instant = z.iso.datetime();
const userShape = z.object({
  id: z.string(),
  provider: z.string(),
  name: z.string().optional(),
  email: z.string().optional(),
  role: z.enum(roles),
  account: z.string().optional(),
  firstSeenAt: instant,
  lastSeenAt: instant,
  blockedAt: instant.optional(),
});
const usersShape = z.object({ items: z.array(userShape), nextCursor: z.string().nullable() });
type Asked = Call<{ id: string }>;

export function userRoutes(workshop: Workshop): Route[] {
  const { store, signIn, clock, log } = workshop;
  const users = native(registerUsers(store.connection));

  async function find(id: string, session?: Parameters<Parameters<typeof store.transaction>[0]>[0]) {
    const found = await users.findOne<UserDocument>({ _id: id }, session === undefined ? {} : { session });
    if (found === null) throw notFound('there is no such person');
    return found;
  }

  async function shown(document: UserDocument) {
    return userFor(await openUser(store.vault, document, log));
  }

  return [
    route({
      method: 'get',
      path: '/v1/users',
      roles: permissions.readUsers,
      onRecord: 'users.read',
      summary: 'Lists the people who have signed in.',
      query: pageSchema,
      answers: { 200: { description: 'A page of people.', schema: usersShape } },
      async handle({ query }) {
        const page = await pageById(users, listName, query);
        return { status: 200, body: { ...page, items: await Promise.all(page.items.map(shown)) } };
      },
    }),
    route({
      method: 'get',
      path: '/v1/users/:id/sessions',
      roles: permissions.readUsers,
      onRecord: 'users.read',
      summary: 'Lists where somebody is signed in, the last used first.',
      params: userParamsSchema,
      query: noQuerySchema,
      answers: { 200: { description: 'The sessions.', schema: sessionsShape } },
      async handle({ params, principal }) {
        await find(params.id);
        const current = principal.shown.by === 'session' ? principal.shown.session : undefined;
        const items = ((await signIn?.sessions.list(params.id)) ?? []).map((one) => sessionFor(one, current));
        return { status: 200, body: { items } };
      },
    }),
    route({
      method: 'delete',
      path: '/v1/users/:id/sessions',
      roles: permissions.manageUsers,
      summary: "Ends all of somebody's sessions.",
      params: userParamsSchema,
      query: noQuerySchema,
      answers: { 204: { description: 'They have ended.' } },
      async handle(call) {
        const { id } = call.params;
        await find(id);
        if (signIn === undefined) return { status: 204 };
        const { sessions } = signIn;
        const { answer } = await endSessions(
          workshop,
          sessions,
          call,
          (session) => sessions.end(session, { user: id }),
          (ended) => endedEntry('session.ended', ended, { user: id }),
        );
        return answer;
      },
    }),
    route({
      method: 'post',
      path: '/v1/users/:id/block',
      roles: permissions.manageUsers,
      summary: 'Keeps somebody from signing in, and ends all of their sessions.',
      params: userParamsSchema,
      query: noQuerySchema,
      answers: { 200: { description: 'The person.', schema: userShape } },
      handle: (call) => block(call),
    }),
    route({
      method: 'post',
      path: '/v1/users/:id/unblock',
      roles: permissions.manageUsers,
      summary: 'Lets somebody sign in again.',
      params: userParamsSchema,
      query: noQuerySchema,
      answers: { 200: { description: 'The person.', schema: userShape } },
      handle: (call) => unblock(call),
    }),
  ];

  async function block(call: Asked) {
    const { id } = call.params;
    if (id === call.principal.actor.id) {
      throw new Problem('conflict', 'you would lock yourself out; have another administrator do it');
    }
    let ended: Awaited<ReturnType<NonNullable<typeof signIn>['sessions']['end']>> = [];
    const answer = await write(workshop, call, async (session) => {
      const found = await find(id, session);
      // Whoever is signing in at this moment writes the same document: one of the two comes first.
      const blockedAt = found.blockedAt ?? clock();
      await users.updateOne({ _id: id }, { $set: { blockedAt } }, { session });
      ended = (await signIn?.sessions.end(session, { user: id })) ?? [];
      const body = await shown({ ...found, blockedAt });
      if (found.blockedAt !== undefined && ended.length === 0) return { answer: { status: 200, body } };
      const sessions = ended.map(({ _id }) => _id);
      return { answer: { status: 200, body }, entry: entryOf('user.blocked', found, { sessions }) };
    });
    signIn?.sessions.forget(ended);
    return answer;
  }

  function unblock(call: Asked) {
    const { id } = call.params;
    return write(workshop, call, async (session) => {
      const { blockedAt, ...found } = await find(id, session);
      const answer = { status: 200, body: await shown(found) };
      if (blockedAt === undefined) return { answer };
      await users.updateOne({ _id: id }, { $unset: { blockedAt: '' } }, { session });
      return { answer, entry: entryOf('user.unblocked', found) };
    });
  }
}

function entryOf(action: string, { _id, account }: UserDocument, details: Record<string, unknown> = {}) {
  return { action, ...(account === undefined ? {} : { account }), details: { user: _id, ...details } };
}

function userFor({
  _id,
  provider,
  name,
  email,
  role,
  account,
  firstSeenAt,
  lastSeenAt,
  blockedAt,
}: Opened<UserDocument>) {
  return {
    id: _id,
    provider,
    ...(name === undefined ? {} : { name }),
    ...(email === undefined ? {} : { email }),
    role,
    ...(account === undefined ? {} : { account }),
    firstSeenAt: firstSeenAt.toISOString(),
    lastSeenAt: lastSeenAt.toISOString(),
    ...(blockedAt === undefined ? {} : { blockedAt: blockedAt.toISOString() }),
  };
}
