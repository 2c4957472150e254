/** Accounts: creating, finding, reading, and changing their profile. */
import type { mongo } from 'mongoose';
import { native } from '../../database';
import { may, permissions } from '../../access';
import {
  AccountExistsError,
  findAccountWith,
  indexesOf,
  openProfile,
  protectFormer,
  protectProfile,
  storeDraft,
  tombstoneId,
  type AccountDocument,
  type Profile,
} from '../../data';
import { allowedChanges, heldBy, periodFlaws, type Flaw, type PolicyOverrides, type Settings } from '../../lifecycle';
import { RefusedError } from '../../temporal';
import { z } from 'zod';
import { accountShape } from '../answers/accounts';
import { answers, pageOf as pageShapeOf } from '../answers/words';
import { sending } from '../commands';
import { pageOf, positionIn } from '../cursors';
import { invalid, Problem } from '../problems';
import { accountFor, accountsFor, profileFor } from '../representation';
import { route, type Call, type Route } from '../route';
import {
  accountParamsSchema,
  accountsQuerySchema,
  newAccountSchema,
  noQuerySchema,
  profileSchema,
  type ProfileChange,
} from '../schemas';
import { openAccount, seekAccount } from '../standing';
import type { Workshop } from '../workshop';
import { write } from '../writes';

type NewAccount = z.output<typeof newAccountSchema>;
type AccountsQuery = z.output<typeof accountsQuerySchema>;

export function accountRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id',
      roles: permissions.readAccounts,
      standing: 'any',
      summary: 'Reads an account.',
      answers: answers(accountShape, 'The account', ['ETag']),
      params: accountParamsSchema,
      query: noQuerySchema,
      async handle(call) {
        const account = await seekAccount(workshop, call, call.params.id);
        // Not awaited where it is at hand: this is the path a gateway's dashboard asks all day.
        const defaults = workshop.defaults.current();
        const settings = defaults instanceof Promise ? await defaults : defaults;
        return {
          status: 200,
          body: await accountFor(workshop, account, call.principal, settings, call.params.id),
          version: account.version,
        };
      },
    }),
    route({
      method: 'post',
      path: '/v1/accounts',
      roles: permissions.createAccount,
      summary: 'Creates an account, or adopts an existing one in its state.',
      answers: { 201: { description: 'The account', schema: accountShape, headers: ['ETag', 'Location'] } },
      query: noQuerySchema,
      body: newAccountSchema,
      handle: (call) => create(workshop, call),
    }),
    route({
      method: 'get',
      path: '/v1/accounts',
      roles: permissions.readAccounts,
      summary: 'Lists accounts.',
      answers: answers(pageShapeOf(accountShape), 'A page of accounts, by id'),
      query: accountsQuerySchema,
      handle: (call) => list(workshop, call),
    }),
    route({
      method: 'patch',
      path: '/v1/accounts/:id',
      roles: permissions.changeProfile,
      summary: "Changes an account's profile.",
      answers: answers(accountShape, 'The account', ['ETag']),
      params: accountParamsSchema,
      query: noQuerySchema,
      body: profileSchema,
      handle: (call) => changeProfile(workshop, call),
    }),
  ];
}

async function create(workshop: Workshop, call: Call<unknown, unknown, NewAccount>) {
  const { store, courses, clock, defaults } = workshop;
  const { body, principal, attempt, requestId } = call;
  assertMayAdopt(call, clock());
  const id = body.id ?? attempt.newAccount;
  const [taken, settings] = await Promise.all([
    findAccountWith(store, id, { projection: { _id: 1 } }),
    defaults.current(),
    courses.reach(),
  ]);
  // An earlier try may be what took it; then the account's own workflow tells the two apart, by the draft.
  if (taken !== null && !attempt.repeated) throw idTaken();
  const overrides = overridesOf(body, settings);
  const { name, email, plan, locale } = body;
  const draft = { _id: attempt.draftId, account: id, name, email, plan, locale, createdAt: clock() };
  const drafts = native(store.drafts);
  await storeDraft(store, draft).catch((error: unknown) => {
    throw error instanceof AccountExistsError ? idTaken() : error;
  });
  const { state = 'active', since } = body;
  const origin = { state, overrides, ...(since === undefined ? {} : { since }) };
  try {
    const course = { account: id, draftId: draft._id, origin, settings, actor: principal.actor, requestId };
    await sending(call, () => courses.create(course, attempt.updateId));
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    await drafts.deleteOne({ _id: draft._id });
    throw error.refusal.code === 'conflict' ? idTaken() : error;
  }
  // Where an earlier try made the account, this try's draft is left over.
  if (attempt.repeated) await drafts.deleteOne({ _id: draft._id });
  const account = await seekAccount(workshop, call, id);
  return {
    status: 201,
    body: await accountFor(workshop, account, principal, settings),
    version: account.version,
    headers: { Location: `/v1/accounts/${id}` },
  };
}

function idTaken(): Problem {
  return new Problem('conflict', 'the id is taken, and ids are never reused');
}

function assertMayAdopt({ body, principal }: Call<unknown, unknown, NewAccount>, now: Date): void {
  if (body.state === undefined && body.since === undefined) return;
  if (!may(principal.role, 'adoptAccount'))
    throw new Problem('forbidden', 'adopting an account in a state needs an administrator');
  if (body.since !== undefined && Date.parse(body.since) > now.getTime()) {
    throw invalid([{ path: 'since', detail: 'must not lie in the future' }]);
  }
}

function overridesOf({ policy = {}, plan }: NewAccount, { minPeriod }: Settings): PolicyOverrides {
  const { gracePeriod, expiryPeriod, activeRetentionDays } = policy;
  const flaws: Flaw[] = [];
  for (const [name, length] of Object.entries({ gracePeriod, expiryPeriod })) {
    if (typeof length === 'string') flaws.push(...periodFlaws(`policy.${name}`, length, minPeriod));
  }
  if (flaws.length > 0) throw invalid(flaws);
  if (typeof activeRetentionDays === 'number' && plan !== 'enterprise') {
    throw new Problem('conflict', 'active-data retention is for enterprise accounts (R11)');
  }
  return {
    ...(typeof gracePeriod === 'string' ? { gracePeriod } : {}),
    ...(typeof expiryPeriod === 'string' ? { expiryPeriod } : {}),
    ...(typeof activeRetentionDays === 'number' ? { activeRetentionDays } : {}),
  };
}

const listName = 'accounts';

async function list(workshop: Workshop, call: Call<unknown, AccountsQuery>) {
  const { store, defaults } = workshop;
  const { query, principal } = call;
  const own = principal.role === 'customer' ? (principal.account ?? '') : undefined;
  if (own !== undefined) await openAccount(workshop, call, own);
  const after = positionIn(listName, query.cursor, z.tuple([z.string()]));
  const filters: mongo.Filter<AccountDocument>[] = [
    ...(own === undefined ? [] : [{ _id: own }]),
    ...(after === undefined ? [] : [{ _id: { $gt: after[0] } }]),
    ...(query.state === undefined ? [] : [{ state: query.state }]),
    ...(query.plan === undefined ? [] : [{ plan: query.plan }]),
    ...(query.dueBefore === undefined ? [] : [{ 'deadline.at': { $lt: query.dueBefore } }]),
    ...(query.q === undefined ? [] : [await searchFor(workshop, query.q)]),
  ];
  const [accounts, settings] = await Promise.all([
    native(store.accounts)
      .find<AccountDocument>(filters.length === 0 ? {} : { $and: filters })
      .sort({ _id: 1 })
      .limit(query.limit + 1)
      .toArray(),
    defaults.current(),
  ]);
  const page = pageOf(
    accounts,
    query.limit,
    listName,
    ({ _id }) => [_id],
    (account) => account,
  );
  return { status: 200, body: { ...page, items: await accountsFor(workshop, page.items, principal, settings) } };
}

/**
 * An id that begins so, the whole id of an erased account, or this name or e-mail, in whatever case. `~` sorts behind
 * everything an id may hold.
 */
async function searchFor({ store }: Workshop, q: string): Promise<mongo.Filter<AccountDocument>> {
  const { nameIndex, emailIndex } = await indexesOf(store, q);
  const ids = [{ _id: { $gte: q, $lt: `${q}~` } }, { _id: tombstoneId(store, q) }];
  return { $or: [...ids, { nameIndex }, { emailIndex }] };
}

async function changeProfile(workshop: Workshop, call: Call<{ id: string }, unknown, ProfileChange>) {
  const { store } = workshop;
  const { params, body, principal, ifVersion } = call;
  const settings = await workshop.defaults.current();
  return write(workshop, call, async (session) => {
    const account = await openAccount(workshop, call, params.id, session);
    if (account.erasing !== undefined) {
      const { state, lifecycle } = account;
      throw new Problem('conflict', 'the account is being erased', { state, allowed: allowedChanges(lifecycle) });
    }
    if (ifVersion !== undefined && account.version !== ifVersion) {
      throw new Problem('precondition-failed', `the account is at version ${account.version}, not ${ifVersion}`);
    }
    const profile = await openProfile(store, account);
    const names = (['name', 'email', 'plan', 'locale'] as const).filter(
      (name) => body[name] !== undefined && body[name] !== profile[name],
    );
    if (names.length === 0) return { answer: answerWith(profile) };
    const cipher = await store.vault.cipherOf(params.id);
    const { name, email, ...open } = Object.fromEntries(names.map((field) => [field, body[field]])) as Pick<
      Profile,
      (typeof names)[number]
    >;
    const replaced = replacedBy(profile, names, workshop.clock());
    const version = account.version + 1;
    const set = {
      ...open,
      ...(await protectProfile(store, cipher, params.id, { name, email })),
      ...(replaced === undefined
        ? {}
        : { formerly: [...(account.formerly ?? []), ...protectFormer(cipher, params.id, replaced)] }),
      version,
    };
    await native(store.accounts).updateOne({ _id: params.id }, { $set: set }, { session });
    return {
      answer: answerWith(await openProfile(store, { ...account, ...set })),
      entry: {
        action: 'account.updated',
        account: params.id,
        // Of what is personal its name alone.
        details: {
          fields: names,
          ...(names.includes('plan') ? { plan: { before: account.plan, after: body.plan } } : {}),
          ...(names.includes('locale') ? { locale: { before: account.locale, after: body.locale } } : {}),
        },
      },
    };
  });

  function answerWith(account: Profile) {
    return { status: 200, body: profileFor(account, principal, settings), version: account.version };
  }
}

/** Far more than anybody corrects an account under one hold; the account's document must not grow without end. */
const mostFormerly = 500;

/** What a correction replaces stays with the account while a hold protects all of it (R9). @throws {Problem} too many */
function replacedBy(
  profile: Profile,
  names: readonly (keyof ProfileChange)[],
  at: Date,
): { readonly at: Date; readonly name?: string; readonly email?: string } | undefined {
  const replaced = (['name', 'email'] as const).filter((name) => names.includes(name));
  if (replaced.length === 0 || heldBy(profile.lifecycle.holds) !== 'everything') return undefined;
  if ((profile.formerly ?? []).length >= mostFormerly) {
    throw new Problem(
      'conflict',
      `while a hold stands at most ${mostFormerly} corrections are kept, and no more are taken`,
    );
  }
  return { at, ...Object.fromEntries(replaced.map((name) => [name, profile[name]])) };
}
