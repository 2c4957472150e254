/** Whoever is signed in, of themselves: who they are, where they are signed in, and ending that. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import {
  csrfTokenOf,
  may,
  permissions,
  registerUsers,
  type Permission,
  type Principal,
  type ShownSession,
  type UserDocument,
} from '../../access';
import { native } from '../../database';
import { roles, type Role } from '../../lifecycle';
import { cookieValue, dropCookie, sessionCookie } from '../sign-in/cookies';
import type { SignIn } from '../dependencies';
import { endedEntry, endSessions } from '../sign-in/own-sessions';
import { notFound, Problem } from '../problems';
import { route, type Answer, type Call, type Route } from '../route';
import { noQuerySchema } from '../schemas';
import { deskOf } from '../sign-in/sign-in';
import { ownPage, type PageOptions } from '../sign-in/pages';
import { siteOf } from '../sign-in/site';
import { openUser } from '../users';
import type { Workshop } from '../workshop';

const sessionParamsSchema = z.strictObject({ id: z.string().regex(/^ses_[0-9a-f]{24}$/) });
const noFieldsSchema = z.strictObject({});
const formShape = z.object({ csrf: z.string().optional() });

const instant = z.iso.datetime();
const sessionShape = z.object({
  id: z.string(),
  provider: z.string(),
  current: z.boolean(),
  authenticatedAt: instant.nullable(),
  usedAt: instant,
  address: z.string().optional(),
  userAgent: z.string().optional(),
  expiresAt: instant,
  idleAt: instant,
});
export const sessionsShape = z.object({ items: z.array(sessionShape) });
const meShape = z.object({
  user: z.object({ id: z.string(), name: z.string().optional(), email: z.string().optional() }).optional(),
  key: z.string().optional(),
  role: z.enum(roles),
  account: z.string().optional(),
  provider: z.object({ id: z.string(), name: z.string(), kind: z.string() }).optional(),
  session: z.string().optional(),
  authenticatedAt: instant.nullable().optional(),
  expiresAt: instant.optional(),
  csrfToken: z.string().optional(),
  permissions: z.array(z.string()),
});

interface InSession {
  readonly signIn: SignIn;
  readonly user: string;
  readonly session: string;
}

export function authSessionRoutes(workshop: Workshop): Route[] {
  const { signIn } = workshop;

  /** @throws {Problem} whoever asks shows a key */
  function inSession({ principal: { shown, actor } }: Call): InSession {
    if (signIn === undefined || shown.by !== 'session') {
      throw new Problem('forbidden', 'a key has no sessions: this is for whoever is signed in');
    }
    return { signIn, user: actor.id, session: shown.session };
  }

  async function endOne(call: Call<{ id: string }>): Promise<Answer> {
    const {
      signIn: { sessions },
      user,
      session: current,
    } = inSession(call);
    const { id } = call.params;
    const { answer } = await endSessions(
      workshop,
      sessions,
      call,
      async (session) => {
        const ended = await sessions.end(session, { id, user });
        if (ended.length === 0) throw notFound('there is no such session of yours');
        return ended;
      },
      (ended) => endedEntry('session.ended', ended),
    );
    return id === current ? { ...answer, cookies: cookieGone(call) } : answer;
  }

  async function endOthers(call: Call): Promise<Answer> {
    const {
      signIn: { sessions },
      user,
      session: but,
    } = inSession(call);
    const { answer } = await endSessions(
      workshop,
      sessions,
      call,
      (session) => sessions.end(session, { user, but }),
      (ended) => endedEntry('session.ended', ended),
    );
    return answer;
  }

  function cookieGone({ headers }: Call): string[] {
    const site = siteOf(workshop, headers);
    return site === undefined ? [] : [dropCookie(site, sessionCookie(site))];
  }

  return [
    route({
      method: 'get',
      path: '/auth/me',
      roles: permissions.readOwnSession,
      summary: 'Says who asks, as what, and what they may do.',
      query: noQuerySchema,
      answers: { 200: { description: 'Whoever asks.', schema: meShape } },
      async handle(call) {
        const { principal } = call;
        return { status: 200, body: { ...(await meOf(workshop, call)), permissions: permissionsOf(principal.role) } };
      },
    }),
    route({
      method: 'get',
      path: '/auth/sessions',
      roles: permissions.readOwnSession,
      summary: 'Lists where whoever asks is signed in, the last used first.',
      query: noQuerySchema,
      answers: { 200: { description: 'The sessions.', schema: sessionsShape } },
      async handle(call) {
        const {
          signIn: { sessions },
          user,
          session,
        } = inSession(call);
        const items = (await sessions.list(user)).map((one) => sessionFor(one, session));
        return { status: 200, body: { items } };
      },
    }),
    route({
      method: 'delete',
      path: '/auth/sessions/:id',
      roles: permissions.readOwnSession,
      summary: 'Ends one of the sessions of whoever asks.',
      params: sessionParamsSchema,
      query: noQuerySchema,
      answers: { 204: { description: 'It has ended.' } },
      handle: endOne,
    }),
    route({
      method: 'delete',
      path: '/auth/sessions',
      roles: permissions.readOwnSession,
      summary: 'Ends all sessions of whoever asks but this one.',
      query: noQuerySchema,
      answers: { 204: { description: 'They have ended.' } },
      handle: endOthers,
    }),
    route({
      method: 'post',
      path: '/auth/sessions/:id/end',
      published: false,
      roles: permissions.readOwnSession,
      summary: 'Ends one of the sessions of whoever asks, for the page.',
      params: sessionParamsSchema,
      query: noQuerySchema,
      body: noFieldsSchema,
      form: true,
      idempotent: false,
      answers: { 303: { description: 'It has ended; back to the page.' } },
      handle: async (call) => ({ ...(await endOne(call)), status: 303, headers: { Location: '/auth' } }),
    }),
    route({
      method: 'post',
      path: '/auth/sessions/end-others',
      published: false,
      roles: permissions.readOwnSession,
      summary: 'Ends all sessions of whoever asks but this one, for the page.',
      query: noQuerySchema,
      body: noFieldsSchema,
      form: true,
      idempotent: false,
      answers: { 303: { description: 'They have ended; back to the page.' } },
      handle: async (call) => ({ ...(await endOthers(call)), status: 303, headers: { Location: '/auth' } }),
    }),
    route({
      method: 'post',
      path: '/auth/logout',
      roles: 'public',
      session: true,
      summary: 'Ends this session, and says where to go to sign out with the identity provider as well.',
      query: noQuerySchema,
      body: noFieldsSchema,
      bodyTypes: { 'application/json': noFieldsSchema, 'application/x-www-form-urlencoded': formShape },
      form: true,
      idempotent: false,
      bounded: false,
      answers: {
        200: { description: 'It has ended.', schema: z.object({ logoutUrl: z.url().optional() }) },
        303: { description: 'It has ended, for the page.' },
      },
      async handle(call) {
        const logoutUrl = call.principal.shown.by === 'session' ? await signOut(call) : undefined;
        const cookies = cookieGone(call);
        const isForm = call.headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
        if (isForm) return { status: 303, headers: { Location: logoutUrl ?? '/auth' }, cookies };
        return { status: 200, body: logoutUrl === undefined ? {} : { logoutUrl }, cookies };
      },
    }),
  ];

  /** @returns where the provider signs people out */
  async function signOut(call: Call): Promise<string | undefined> {
    const {
      signIn: { sessions, providers },
      user,
      session: id,
    } = inSession(call);
    const { site } = deskOf(workshop, call);
    const { ended } = await endSessions(
      workshop,
      sessions,
      call,
      (session) => sessions.end(session, { id, user }),
      (all) => endedEntry('auth.signed-out', all),
    );
    const [gone] = ended;
    const provider = providers.find((one) => one.id === gone?.provider);
    if (gone === undefined || provider === undefined) return undefined;
    const idToken = await sessions.idTokenOf(gone);
    if (idToken === undefined) return undefined;
    return provider.signOutUrl(idToken, randomBytes(16).toString('base64url'), `${site.origin}/auth`);
  }
}

function permissionsOf(role: Role): string[] {
  return (Object.keys(permissions) as Permission[]).filter((permission) => may(role, permission));
}

async function meOf(workshop: Workshop, call: Call): Promise<Record<string, unknown>> {
  const { principal } = call;
  const { role, account, shown, actor } = principal;
  const common = { role, ...(account === undefined ? {} : { account }) };
  if (shown.by !== 'session') return { key: actor.id, ...common };
  const { user, provider, session } = await ownOf(workshop, principal);
  const token = tokenIn(workshop, call);
  return {
    user: {
      id: actor.id,
      ...(user?.name === undefined ? {} : { name: user.name }),
      ...(user?.email === undefined ? {} : { email: user.email }),
    },
    ...common,
    ...(provider === undefined ? {} : { provider: { id: provider.id, name: provider.name, kind: provider.kind } }),
    session: shown.session,
    authenticatedAt: provenAt(shown.authenticatedAt),
    ...(session === undefined ? {} : { expiresAt: session.endsAt.toISOString() }),
    ...(token === undefined ? {} : { csrfToken: csrfTokenOf(token) }),
  };
}

/** The page of whoever is signed in; nothing where they no longer are. */
export async function ownPageFor(workshop: Workshop, call: Call, options: PageOptions): Promise<Answer | undefined> {
  const { principal } = call;
  const { shown, role, account } = principal;
  const token = tokenIn(workshop, call);
  if (shown.by !== 'session' || token === undefined) return undefined;
  const { user, provider, sessions } = await ownOf(workshop, principal);
  const leadsTo = await provider?.signOutOrigin();
  return ownPage(options, {
    ...(user?.name === undefined ? {} : { name: user.name }),
    ...(user?.email === undefined ? {} : { email: user.email }),
    role,
    ...(account === undefined ? {} : { account }),
    provider: provider?.name ?? '–',
    current: shown.session,
    sessions,
    csrfToken: csrfTokenOf(token),
    leadsTo: leadsTo === undefined ? [] : [leadsTo],
  });
}

function tokenIn(workshop: Workshop, { headers }: Call): string | undefined {
  const site = siteOf(workshop, headers);
  return site === undefined ? undefined : cookieValue(headers.cookie, sessionCookie(site));
}

async function ownOf({ store, signIn, log }: Workshop, { actor, shown }: Principal) {
  const sessions = (await signIn?.sessions.list(actor.id)) ?? [];
  const session = shown.by === 'session' ? sessions.find(({ _id }) => _id === shown.session) : undefined;
  const document = await native(registerUsers(store.connection)).findOne<UserDocument>({ _id: actor.id });
  const user = document === null ? undefined : await openUser(store.vault, document, log);
  const provider = signIn?.providers.find(({ id }) => id === session?.provider);
  return { sessions, session, user, provider };
}

/** A session as the API shows it. */
export function sessionFor(
  { _id, provider, authenticatedAt, usedAt, address, userAgent, endsAt, until }: ShownSession,
  current?: string,
) {
  return {
    id: _id,
    provider,
    current: _id === current,
    authenticatedAt: provenAt(authenticatedAt),
    usedAt: usedAt.toISOString(),
    ...(address === undefined ? {} : { address }),
    ...(userAgent === undefined ? {} : { userAgent }),
    expiresAt: endsAt.toISOString(),
    idleAt: until.toISOString(),
  };
}

/** Nothing where the provider did not say when. */
function provenAt(at: Date): string | null {
  return at.getTime() === 0 ? null : at.toISOString();
}
