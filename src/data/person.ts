/**
 * Erasing what one person left behind with an account: a data subject's request (GDPR, Art. 17).
 *
 * 1. It takes the records of all four categories that name the person and happened before the request. Usage totals stay:
 *    there is nothing of a person in them.
 * 2. Every batch passes the gate, and is counted in the transaction that deletes it, so the counts are exact whatever crashes.
 * 3. What a hold protects stays, is named, and goes when the request is looked at again after the hold went.
 * 4. When nothing is left the person is forgotten: the request, the log and the workflow know its id alone.
 *
 * Records tell who is named in them by a blind index: equal for one person and account, of no use to anybody without the
 * account's key (R21). The database has no index of its own on it: an ordinary account asks this once in a blue moon and would pay for it with every record it
 * stores. Batches are sized by the records they look through.
 */
import { native } from '../database';
import { bySystem, heldBy, isHeld } from '../lifecycle';
import { deleteIn } from './gate';
import { categories, type Category } from './map';
import type { PersonRequestDocument } from './person-requests';
import { findAccount, type Store } from './store';
import { withdrawExportsIn } from './withdraw';
import { BatchPacer, countBy, windowsOf, type Bucket, type Window } from './windows';

/** A request, by what its workflow knows of it. */
export interface PersonRequest {
  readonly account: string;
  readonly request: string;
}

/** How far a request has come. `gone`: its account is erased, and the request with it. */
export type PersonOutcome = 'erased' | 'partly' | 'gone';

/** What erasing a person tells and asks along the way. */
export interface PersonHooks {
  /** After each batch. */
  readonly progress?: (set: Category, deleted: number) => void;
  /** Throws to stop between two batches. */
  readonly checkpoint?: () => void;
}

/** Erases what may be erased of a person's records by now, and records how far the request has come. Safe to repeat. */
export async function erasePerson(store: Store, asked: PersonRequest, hooks: PersonHooks = {}): Promise<PersonOutcome> {
  const request = await findRequest(store, asked);
  if (request === null) return 'gone';
  if (request.status === 'erased' || request.userIndex === undefined) return 'erased';
  const person = { ...request, userIndex: request.userIndex };
  const held: Category[] = [];
  for (const category of categories) {
    const outcome = await eraseCategory(store, person, category, hooks);
    if (outcome === 'gone') return 'gone';
    if (outcome === 'held') held.push(category);
  }
  return held.length === 0 ? recordErased(store, asked) : recordHeld(store, asked, held);
}

function findRequest(store: Store, { account, request }: PersonRequest): Promise<PersonRequestDocument | null> {
  return native(store.personRequests).findOne<PersonRequestDocument>({ _id: request, account });
}

type Person = PersonRequestDocument & { readonly userIndex: string };

/** Erases one category, over and over until nothing is found: what is counted is what is known to be there. */
async function eraseCategory(
  store: Store,
  person: Person,
  category: Category,
  hooks: PersonHooks,
): Promise<'clear' | 'held' | 'gone'> {
  const model = store.records[category];
  const pacer = new BatchPacer();
  for (;;) {
    const theirs = await countBy('day', model, person.account, undefined, ownRecords(person));
    if (theirs.length === 0) return 'clear';
    const days = await countBy('day', model, person.account);
    for (const run of runsOf(days.filter(({ from }) => theirs.some((day) => day.from === from)))) {
      const windows = windowsOf(
        run,
        'day',
        () => pacer.size,
        (unit, stretch) => countBy(unit, model, person.account, stretch),
      );
      for await (const window of windows) {
        hooks.checkpoint?.();
        const aimed = pacer.size;
        const started = performance.now();
        const deleted = await eraseBatch(store, person, category, window);
        if (deleted === undefined) return refused(store, person.account, category);
        pacer.learn(aimed, performance.now() - started);
        hooks.progress?.(category, deleted);
      }
    }
  }
}

function ownRecords({ userIndex, at }: Person) {
  return { $and: [{ userIndex }, { at: { $lt: at } }] };
}

/** Days that follow one another: a window must not stretch over days in which the person left nothing. */
function runsOf(days: readonly Bucket[]): Bucket[][] {
  const runs: Bucket[][] = [];
  for (const day of days) {
    const run = runs.at(-1);
    if (run?.at(-1)?.to === day.from) run.push(day);
    else runs.push([day]);
  }
  return runs;
}

/** Deletes one batch and counts it. Returns nothing, and deletes nothing, where the gate is closed to it. */
async function eraseBatch(
  store: Store,
  person: Person,
  category: Category,
  { from, to }: Window,
): Promise<number | undefined> {
  return store.transaction(async (session) => {
    const range = from === undefined || to === undefined ? {} : { at: { $gte: from, $lt: to } };
    const gone = await deleteIn(store, session, {
      account: person.account,
      purpose: 'person',
      sets: { [category]: { ...range, ...ownRecords(person) } },
    });
    if (gone === undefined) return undefined;
    const deleted = gone.sets[category] ?? 0;
    await native(store.personRequests).updateOne(
      { _id: person._id },
      { $inc: { [`erased.${category}`]: deleted } },
      { session },
    );
    return deleted;
  });
}

/** Why the gate was closed: a hold, or the account is no more. */
async function refused(store: Store, account: string, category: Category): Promise<'held' | 'gone'> {
  const found = await findAccount(store, account);
  if (found === null || found.state === 'erased') return 'gone';
  if (isHeld(heldBy(found.lifecycle.holds), category)) return 'held';
  // The hold went between the two looks: whoever asked asks again.
  throw new Error(`the gate of account ${account} was closed to ${category} for a moment`);
}

async function recordErased(store: Store, { account, request }: PersonRequest): Promise<PersonOutcome> {
  const now = await store.databaseTime();
  return store.transaction(async (session) => {
    const before = await native(store.personRequests).findOneAndUpdate(
      { _id: request, account, status: { $ne: 'erased' } },
      { $set: { status: 'erased', endedAt: now }, $unset: { userIndex: '', held: '' } },
      { session, returnDocument: 'before' },
    );
    if (before === null) return (await findRequest(store, { account, request })) === null ? 'gone' : 'erased';
    await store.audit.append(session, {
      at: now,
      actor: bySystem,
      action: 'person.erased',
      account,
      details: { request, erased: before.erased },
      requestId: before.requestId,
    });
    // What was exported before holds the person still: it is taken back, and may be made anew without.
    await withdrawExportsIn(store, session, { account, at: now, actor: bySystem, reason: 'person.erased' });
    return 'erased';
  });
}

async function recordHeld(
  store: Store,
  { account, request }: PersonRequest,
  held: readonly Category[],
): Promise<PersonOutcome> {
  const now = await store.databaseTime();
  return store.transaction(async (session) => {
    const before = await native(store.personRequests).findOneAndUpdate(
      { _id: request, account, status: { $ne: 'erased' } },
      { $set: { status: 'partly', held } },
      { session, returnDocument: 'before' },
    );
    if (before === null) return (await findRequest(store, { account, request })) === null ? 'gone' : 'erased';
    if (before.held?.join() !== held.join()) {
      await store.audit.append(session, {
        at: now,
        actor: bySystem,
        action: 'person.erasure-held',
        account,
        details: { request, held, erased: before.erased },
        requestId: before.requestId,
      });
    }
    return 'partly';
  });
}
