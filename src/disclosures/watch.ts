/**
 * Watching over the register (R24): a disclosure that is missing or overdue is called out every day until it is not, and on
 * record each time that changes.
 */
import type { ClientSession } from 'mongoose';
import type { Store } from '../data';
import { native } from '../database';
import { bySystem } from '../lifecycle';
import { registerProviders, type Alarm, type ProviderDocument } from './documents';
import { record } from './history';
import { isAlarming, statusOf } from './status';

const day = 24 * 60 * 60 * 1000;

/** What whoever is on call is told. */
export interface Notice {
  readonly provider: string;
  readonly name: string;
  readonly status: Alarm['status'];
  /** When it was first said. */
  readonly since: Date;
  /** It is over. */
  readonly over: boolean;
}

/** What a look at the register found. */
export interface Watched {
  readonly missing: number;
  readonly overdue: number;
}

/**
 * Looks through the register once. Safe to repeat, and for several at once.
 *
 * @param now the database server's time
 * @param tell is told once what it says is on record; should the process die in between, it is told again a day later
 */
export async function watchDisclosures(store: Store, now: Date, tell: (notice: Notice) => void): Promise<Watched> {
  const providers = native(registerProviders(store.connection));
  const counted = { missing: 0, overdue: 0 };
  // A removed one may have left an alarm; those without are of no concern any more.
  const found = await providers
    .find<Pick<ProviderDocument, '_id' | 'removedAt' | 'alarm'>>({}, { projection: { removedAt: 1, alarm: 1 } })
    .toArray();
  for (const { _id, removedAt, alarm } of found) {
    if (removedAt !== undefined && alarm === undefined) continue;
    const { status, notices } = await store.transaction((session) => look(store, session, _id, now));
    if (status !== undefined) counted[status] += 1;
    for (const notice of notices) tell(notice);
  }
  return counted;
}

interface Looked {
  readonly status?: Alarm['status'];
  readonly notices: readonly Notice[];
}

async function look(store: Store, session: ClientSession, id: string, now: Date): Promise<Looked> {
  const providers = native(registerProviders(store.connection));
  const provider = await providers.findOne<ProviderDocument>({ _id: id }, { session });
  if (provider === null) return { notices: [] };
  const { alarm, name } = provider;
  const status = provider.removedAt === undefined ? statusOf(provider, now) : 'complete';
  const notice = (of: Alarm, over: boolean): Notice => ({
    provider: id,
    name,
    status: of.status,
    since: of.since,
    over,
  });
  if (!isAlarming(status)) {
    if (alarm === undefined) return { notices: [] };
    const acts = provider.acts + 1;
    await providers.updateOne({ _id: id }, { $set: { acts }, $unset: { alarm: '' } }, { session });
    await note(store, session, { ...provider, acts }, now, 'settled', { was: alarm.status, since: alarm.since });
    return { notices: [notice(alarm, true)] };
  }
  if (alarm?.status === status) {
    if (now.getTime() - alarm.alertedAt.getTime() < day) return { status, notices: [] };
    await providers.updateOne({ _id: id }, { $set: { 'alarm.alertedAt': now } }, { session });
    return { status, notices: [notice(alarm, false)] };
  }
  const begun: Alarm = { status, since: now, alertedAt: now };
  const acts = provider.acts + 1;
  await providers.updateOne({ _id: id }, { $set: { acts, alarm: begun } }, { session });
  await note(store, session, { ...provider, acts }, now, status, { nextReview: provider.nextReview });
  return { status, notices: [...(alarm === undefined ? [] : [notice(alarm, true)]), notice(begun, false)] };
}

function note(
  store: Store,
  session: ClientSession,
  provider: Pick<ProviderDocument, '_id' | 'acts' | 'name'>,
  at: Date,
  what: 'missing' | 'overdue' | 'settled',
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  const action = `provider.disclosure-${what}`;
  return record(
    store,
    session,
    provider,
    { at, actor: bySystem },
    { action, details: { name: provider.name, ...details } },
  );
}
