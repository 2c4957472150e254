/**
 * Signing people in (R26): sending them to their provider, and letting in who comes back.
 *
 * 1. A sign-in is completed in the browser it was begun in, with the provider it was begun with, once.
 * 2. Person, session and audit entry are one transaction, which also sees whether the person is blocked and whether the account
 *    is still there: of two that happen at once, one comes first.
 * 3. Each sign-in makes a new session, and ends the one the browser had.
 */
import { hash } from 'node:crypto';
import { mongo, type ClientSession } from 'mongoose';
import {
  registerSessions,
  registerUsers,
  userIdOf,
  type Principal,
  type SessionDocument,
  type SpentDocument,
  type UserDocument,
} from '../../access';
import { findAccountWith, protect, type Opened } from '../../data';
import { native } from '../../database';
import { SignInError, type IdentityProvider, type Person } from '../../sso';
import { cookieValue, dropCookie, pendingCookie, pendingCookies, sessionCookie, setCookie } from './cookies';
import type { SignIn } from '../dependencies';
import { mostPending, mostTime, openPending, sealPending, type Pending } from './pending';
import { Problem } from '../problems';
import type { Answer, Call } from '../route';
import { siteOf, type Site } from './site';
import type { Workshop } from '../workshop';
import { write } from '../writes';

/** What signing in needs beside the workshop. */
export interface Desk {
  readonly workshop: Workshop;
  readonly signIn: SignIn;
  readonly site: Site;
}

/** @throws {Problem} nobody can sign in here, or not by this way */
export function deskOf(workshop: Workshop, { headers }: Pick<Call, 'headers'>): Desk {
  const { signIn } = workshop;
  if (signIn === undefined) throw new Problem('not-found', 'nobody signs in here: show a key');
  const site = siteOf(workshop, headers);
  if (site === undefined) {
    throw new Problem('forbidden', 'sign in on this machine itself, or have ABLAUF_PUBLIC_URL say where people do');
  }
  return { workshop, signIn, site };
}

/** More sessions nobody has; with one more, the one that was not used for longest ends. */
const mostSessions = 50;
/** How long at most what a provider says of somebody once is remembered to have been said, in milliseconds. */
const spentFor = 2 * mostTime;

/** Where a provider sends people back to. It has to be registered with it, letter by letter. */
function redirectUriOf({ origin }: Site, { id }: Pick<IdentityProvider, 'id'>): string {
  return `${origin}/auth/${id}/callback`;
}

export interface BeginOptions {
  readonly returnTo: string;
  readonly fresh: boolean;
}

/** Sends somebody to a provider. @throws {SignInError} `provider-away` */
export async function beginSignIn(
  { workshop, site }: Desk,
  call: Call,
  provider: IdentityProvider,
  { returnTo, fresh }: BeginOptions,
): Promise<Answer> {
  const redirectUri = redirectUriOf(site, provider);
  const { url, secrets } = await provider.begin({ redirectUri, fresh });
  const { shown, actor } = call.principal;
  const pending: Pending = {
    ...secrets,
    provider: provider.id,
    redirectUri,
    returnTo,
    fresh,
    ...(fresh && shown.by === 'session' ? { user: actor.id } : {}),
    begunAt: workshop.clock(),
  };
  const sealed = await sealPending(workshop.store.vault, pending);
  const name = pendingCookie(site, secrets.state);
  const surplus = pendingCookies(site, call.headers.cookie).slice(0, 1 - mostPending);
  return {
    status: 303,
    headers: { Location: url.href },
    cookies: [setCookie(site, name, sealed, mostTime / 1000), ...surplus.map((old) => dropCookie(site, old))],
  };
}

/** The sign-in a browser comes back with. @throws {SignInError} `state` */
export async function pendingOf(
  { workshop, site }: Desk,
  { headers }: Pick<Call, 'headers'>,
  provider: IdentityProvider,
  state: string,
): Promise<Pending> {
  const value = cookieValue(headers.cookie, pendingCookie(site, state));
  const pending = value === undefined ? undefined : await openPending(workshop.store.vault, value);
  const latest = (pending?.begunAt.getTime() ?? 0) + mostTime;
  if (pending?.state !== state || pending.provider !== provider.id || latest < workshop.clock().getTime()) {
    throw new SignInError(
      'state',
      'this sign-in was not begun in this browser, or more than ten minutes ago; begin again',
    );
  }
  return pending;
}

/** Lets in whoever a provider vouches for. @throws {SignInError} with who it was */
export async function admit(desk: Desk, call: Call, provider: IdentityProvider, pending: Pending, person: Person) {
  const lookups = await desk.workshop.store.vault.systemCipher('lookups');
  const user = userIdOf(lookups, person.issuer, person.subject);
  try {
    return await admitAs(desk, call, provider, pending, person, user);
  } catch (error) {
    if (error instanceof SignInError) error.user = user;
    throw error;
  }
}

async function admitAs(
  desk: Desk,
  call: Call,
  provider: IdentityProvider,
  pending: Pending,
  person: Person,
  user: string,
) {
  const { workshop, signIn, site } = desk;
  const { sessions } = signIn;
  if (pending.user !== undefined && pending.user !== user) {
    throw new SignInError('other-person', `you came back from ${provider.name} as somebody else than you are here`);
  }
  const { role, account } = person;
  const { address } = call.principal.actor;
  const actor = { type: 'user', id: user, role, ...(address === undefined ? {} : { address }) } as const;
  const userAgent = call.headers['user-agent'];
  const providerSession =
    person.providerSession === undefined
      ? undefined
      : await sessions.providerSessionIndex(provider.id, person.providerSession);
  let ended: SessionDocument[] = [];
  const begun = { token: '' };
  const answer = await write(workshop, { ...call, principal: { ...call.principal, actor, role } }, async (session) => {
    await spendOnce(workshop, session, `sign-in\n${pending.state}`);
    if (account !== undefined) await assertLives(workshop, account, session);
    const change = await storeUser(workshop, session, user, provider, person);
    const former = formerSession(call.principal);
    ended = [
      ...(former === undefined ? [] : await sessions.end(session, former)),
      // What somebody was let in as before does not outlive their being let in as something else.
      ...(await sessions.end(session, { user, keep: change === 'other-role' ? 0 : mostSessions - 1 })),
    ];
    const { token, id } = await sessions.begin(session, {
      user,
      role,
      ...(account === undefined ? {} : { account }),
      provider: provider.id,
      ...(providerSession === undefined ? {} : { providerSession }),
      idToken: person.idToken,
      // Where the provider does not say when, it may have been long ago.
      authenticatedAt: person.authenticatedAt ?? new Date(0),
      ...(address === undefined ? {} : { address }),
      ...(userAgent === undefined ? {} : { userAgent }),
    });
    begun.token = token;
    return {
      answer: { status: 303, headers: { Location: pending.returnTo } },
      entry: {
        action: 'auth.signed-in',
        ...(account === undefined ? {} : { account }),
        details: {
          provider: provider.id,
          session: id,
          ...(change === 'first' ? { first: true } : {}),
          ...(pending.fresh ? { fresh: true } : {}),
          ...(ended.length === 0 ? {} : { ended: ended.map(({ _id }) => _id) }),
        },
      },
    };
  });
  sessions.forget(ended);
  return { ...answer, cookies: [setCookie(site, sessionCookie(site), begun.token)] };
}

function formerSession({ shown, actor }: Principal): { readonly id: string; readonly user: string } | undefined {
  return shown.by === 'session' ? { id: shown.session, user: actor.id } : undefined;
}

/** Uses something up that counts once. @throws {SignInError} `replayed` */
export async function spendOnce({ store, clock }: Workshop, session: ClientSession, what: string): Promise<void> {
  const spent = native(registerSessions(store.connection).spent);
  const _id = hash('sha256', what, 'base64url');
  const replayed = new SignInError('replayed', 'this sign-in was completed before; begin again');
  if ((await spent.findOne<SpentDocument>({ _id }, { session })) !== null) throw replayed;
  try {
    await spent.insertOne({ _id, until: new Date(clock().getTime() + spentFor) }, { session });
  } catch (error) {
    // Two at once.
    throw error instanceof mongo.MongoServerError && error.code === 11000 ? replayed : error;
  }
}

/**
 * A session begun while its account is being erased would outlive it: passing the gate makes the two a conflict.
 *
 * @throws {SignInError} `no-account`
 */
async function assertLives({ store, region }: Workshop, id: string, session: ClientSession): Promise<void> {
  const account = await findAccountWith(store, id, { session });
  const living = account !== null && account._id === id && account.state !== 'erased' && account.region === region;
  const { matchedCount } = living
    ? await native(store.gates).updateOne({ _id: id, open: true }, { $inc: { passed: 1 } }, { session })
    : { matchedCount: 0 };
  if (matchedCount === 0) {
    throw new SignInError('no-account', 'the account you belong to is not known here, or is being erased');
  }
}

/** Remembers a person as their provider calls them now. @throws {SignInError} `blocked` */
async function storeUser(
  { store, clock }: Workshop,
  session: ClientSession,
  _id: string,
  { id: provider }: IdentityProvider,
  { name, email, role, account }: Person,
): Promise<'first' | 'same' | 'other-role'> {
  const users = native(registerUsers(store.connection));
  const known = await users.findOne<UserDocument>({ _id }, { session });
  if (known?.blockedAt !== undefined) {
    throw new SignInError('blocked', 'you are blocked here; ask whoever runs this deployment');
  }
  const now = clock();
  const document: Opened<UserDocument> = {
    _id,
    provider,
    ...(name === undefined ? {} : { name }),
    ...(email === undefined ? {} : { email }),
    role,
    ...(account === undefined ? {} : { account }),
    firstSeenAt: known?.firstSeenAt ?? now,
    lastSeenAt: now,
  };
  const { vault } = store;
  const cipher = account === undefined ? await vault.systemCipher('staff') : await vault.cipherOf(account);
  const sealed = protect<UserDocument>(cipher, 'users', document);
  if (known === null) {
    await users.insertOne(sealed, { session });
    return 'first';
  }
  await users.replaceOne({ _id }, sealed, { session });
  return known.role === role && known.account === account ? 'same' : 'other-role';
}
