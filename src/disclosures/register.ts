/** The register of providers (R24): its entries, and what becomes of them. Every change is on record with before and after. */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ClientSession } from 'mongoose';
import { protect, reveal, type Opened, type Store } from '../data';
import { native } from '../database';
import { providersCollection, registerProviders, type ProviderDocument } from './documents';
import { ProviderChangedError, ProviderExistsError, ProviderMissingError, RegisterFullError } from './errors';
import { record, type Act } from './history';
import type { ProviderEntry, RecordedDisclosure } from './provider';

/** An entry as it is on record, opened. */
export type Provider = Opened<ProviderDocument>;

/** Far more than anybody has; the whole register is read for its pages and its alarms. */
const mostProviders = 200;
/** Removed entries the report still names. */
const mostFormer = 200;

/**
 * What every change of who is in the register writes, so that no two at one moment take one name: a unique index will not
 * do, as the embedded database does not let go of a name that was in one.
 */
const marker = '/providers';
const living = { removedAt: { $exists: false } } as const;

/** The entry with an id. @throws {ProviderMissingError} */
export async function findProvider(store: Store, id: string, session?: ClientSession): Promise<Provider> {
  const found = await providersIn(store).findOne<ProviderDocument>(
    { _id: id },
    session === undefined ? {} : { session },
  );
  if (found === null || found.removedAt !== undefined) throw new ProviderMissingError('there is no such provider');
  return opened(store, found);
}

/** Up to so many entries in the order of their ids. @param after the last one of the page before */
export async function listProviders(store: Store, limit: number, after?: string): Promise<Provider[]> {
  const found = await providersIn(store)
    .find<ProviderDocument>({ ...living, ...(after === undefined ? {} : { _id: { $gt: after } }) })
    .sort({ _id: 1 })
    .limit(limit)
    .toArray();
  return Promise.all(found.map((document) => opened(store, document)));
}

/** The whole register, by name. */
export async function allProviders(store: Store): Promise<Provider[]> {
  const found = await listProviders(store, mostProviders);
  return found.sort((a, b) => a.name.localeCompare(b.name, 'en'));
}

/** Those that were removed, the last one first. */
export async function formerProviders(store: Store): Promise<Provider[]> {
  const found = await providersIn(store)
    .find<ProviderDocument>({ removedAt: { $exists: true } })
    .sort({ removedAt: -1, _id: 1 })
    .limit(mostFormer)
    .toArray();
  return Promise.all(found.map((document) => opened(store, document)));
}

/**
 * Adds entries, all or none, inside a transaction of the caller's.
 *
 * @throws {ProviderExistsError | RegisterFullError}
 */
export async function addProviders(
  store: Store,
  session: ClientSession,
  entries: readonly ProviderEntry[],
  act: Act,
): Promise<Provider[]> {
  await claimNames(store, session, entries);
  const added: Provider[] = [];
  for (const entry of entries) {
    const document: Provider = {
      _id: `prov_${randomBytes(12).toString('hex')}`,
      ...fieldsOf(entry),
      ...(entry.disclosure === undefined ? {} : { disclosure: taken(entry.disclosure, undefined, act) }),
      version: 1,
      acts: 1,
      createdAt: act.at,
      updatedAt: act.at,
    };
    await providersIn(store).insertOne(await protected_(store, document), { session });
    await record(store, session, document, act, {
      action: 'provider.created',
      details: { name: entry.name, after: shownInLog(document), withheld: withheldIn(undefined, document) },
    });
    added.push(document);
  }
  return added;
}

/**
 * Replaces an entry, inside a transaction of the caller's. What is as it was changes nothing.
 *
 * @param version the one the caller saw, where they said so
 * @throws {ProviderMissingError | ProviderChangedError | ProviderExistsError}
 */
export async function replaceProvider(
  store: Store,
  session: ClientSession,
  id: string,
  entry: ProviderEntry,
  act: Act,
  version?: number,
): Promise<Provider> {
  const before = await findProvider(store, id, session);
  assertVersion(before, version);
  const disclosure = entry.disclosure === undefined ? undefined : taken(entry.disclosure, before.disclosure, act);
  const {
    contact: _contact,
    notes: _notes,
    disclosure: _disclosure,
    nextReview: _review,
    draft: _draft,
    ...kept
  } = before;
  const after: Provider = { ...kept, ...fieldsOf(entry), ...(disclosure === undefined ? {} : { disclosure }) };
  if (isDeepStrictEqual(normal(after), normal(before))) return before;
  if (after.name !== before.name) await claimNames(store, session, [entry], id);
  const written = { ...after, version: before.version + 1, acts: before.acts + 1, updatedAt: act.at };
  await providersIn(store).replaceOne({ _id: id }, await protected_(store, written), { session });
  await record(store, session, written, act, {
    action: 'provider.updated',
    details: { name: after.name, ...changesBetween(before, after), withheld: withheldIn(before, after) },
  });
  return written;
}

/**
 * Removes an entry, inside a transaction of the caller's: what it said stays for the report, but for contact and notes.
 *
 * @throws {ProviderMissingError | ProviderChangedError}
 */
export async function removeProvider(
  store: Store,
  session: ClientSession,
  id: string,
  act: Act,
  version?: number,
): Promise<void> {
  const before = await findProvider(store, id, session);
  assertVersion(before, version);
  const acts = before.acts + 1;
  await providersIn(store).updateOne(
    { _id: id },
    {
      $set: { removedAt: act.at, updatedAt: act.at, version: before.version + 1, acts },
      $unset: { contact: '', notes: '' },
    },
    { session },
  );
  await record(store, session, { ...before, acts }, act, {
    action: 'provider.deleted',
    details: { name: before.name, before: shownInLog(before) },
  });
}

function providersIn(store: Store) {
  return native(registerProviders(store.connection));
}

async function opened(store: Store, document: ProviderDocument): Promise<Provider> {
  return reveal(await store.vault.systemCipher('staff'), providersCollection, document);
}

async function protected_(store: Store, document: Provider): Promise<ProviderDocument> {
  return protect<ProviderDocument>(await store.vault.systemCipher('staff'), providersCollection, document);
}

function assertVersion({ version }: Provider, seen: number | undefined): void {
  if (seen === undefined || seen === version) return;
  throw new ProviderChangedError(`the entry is at version ${version}, not ${seen}`);
}

/** Makes sure that names are free, and that nobody else takes one at this moment. @param own the entry that has the name anyway */
async function claimNames(
  store: Store,
  session: ClientSession,
  entries: readonly Pick<ProviderEntry, 'name'>[],
  own?: string,
): Promise<void> {
  await store.connection
    .collection<{ _id: string; passes: number }>('settings')
    .updateOne({ _id: marker }, { $inc: { passes: 1 } }, { upsert: true, session });
  const present = await providersIn(store)
    .find<Pick<ProviderDocument, '_id' | 'name'>>(living, { projection: { name: 1 }, session })
    .toArray();
  const others = new Set(present.filter(({ _id }) => _id !== own).map(({ name }) => name));
  for (const { name } of entries) {
    if (others.has(name)) throw new ProviderExistsError(`there is a provider of the name ${name}`);
    others.add(name);
  }
  if (others.size > mostProviders) throw new RegisterFullError(`there are ${mostProviders} providers at most`);
}

/** The part of a document that follows from what an administrator wrote, but for the disclosure. */
function fieldsOf({ name, contact, nextReview, notes, draft, disclosure: _disclosure, ...facts }: ProviderEntry) {
  return {
    name,
    facts,
    contact,
    ...(nextReview === undefined ? {} : { nextReview }),
    ...(notes === undefined ? {} : { notes }),
    ...(draft ? ({ draft } as const) : {}),
  };
}

/** A disclosure with who took it in: whoever first recorded that it, or this document, was given. */
function taken(
  given: NonNullable<ProviderEntry['disclosure']>,
  before: RecordedDisclosure | undefined,
  { at, actor }: Act,
): RecordedDisclosure {
  if (given.givenOn === undefined) return given;
  const isSame =
    given.givenOn === before?.givenOn && isDeepStrictEqual(normal(given.document), normal(before.document));
  if (isSame && before.takenInBy !== undefined && before.takenInAt !== undefined) {
    return { ...given, takenInBy: before.takenInBy, takenInAt: before.takenInAt };
  }
  return { ...given, takenInBy: actor.id, takenInAt: at };
}

/** A value without members that say nothing. */
function normal(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);
}

/** What the log is told of an entry: everything but whom to ask there and what is noted, which may name persons. */
function shownInLog({ name, facts, disclosure, nextReview, draft }: Provider): Readonly<Record<string, unknown>> {
  return { name, ...facts, disclosure, nextReview, draft: draft ?? false };
}

function changesBetween(before: Provider, after: Provider) {
  const [was, is] = [shownInLog(before), shownInLog(after)];
  const changed = Object.keys(is).filter((field) => !isDeepStrictEqual(normal(was[field]), normal(is[field])));
  const of = (side: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(changed.map((field) => [field, side[field] ?? null]));
  return { before: of(was), after: of(is) };
}

/** The names of what changed and is not told. */
function withheldIn(before: Provider | undefined, after: Provider): string[] {
  return (['contact', 'notes'] as const).filter(
    (field) => !isDeepStrictEqual(normal(before?.[field]), normal(after[field])),
  );
}
