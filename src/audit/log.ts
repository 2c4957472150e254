/** The audit log: who did what to which account, and when (R19). Entries are only ever added. */
import { randomUUID } from 'node:crypto';
import type { ClientSession, Connection, Model, mongo } from 'mongoose';
import { native } from '../database';
import type { Actor } from '../lifecycle';
import { KeyDestroyedError, KeyMissingError, UnreadableValueError, type Cipher, type Vault } from '../vault';
import { plain } from './canonical';
import { auditModelsOn, staged, type AuditEntryDocument, type CheckpointDocument, type TileDocument } from './entries';
import { joinDetails, openPart, partDetails, sealPart, type PartName, type PersonalPart } from './parts';

/** What the caller of {@link AuditLog.append} says; the rest is filled in. */
export interface NewAuditEntry {
  /** Of an entry that is no account's step, where the same id is to be the same act. @default a random one */
  readonly id?: string;
  readonly at: Date;
  readonly actor: Actor;
  /** A dotted verb, such as `account.suspended`. */
  readonly action: string;
  /** The account it concerns, by its id or by that of its tombstone. */
  readonly account?: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly requestId?: string;
  readonly seq?: number;
  readonly transitionId?: string;
}

/** An entry as whoever may read it is shown it. */
export interface AuditEntry extends Omit<NewAuditEntry, 'id' | 'actor'> {
  readonly id: string;
  /** Where the key to its id is gone, `~` and its blind index. */
  readonly actor: Actor;
  /** Where its key is gone, `~` and its pseudonym. */
  readonly account?: string;
}

/** The log of one region's database. */
export interface AuditLog {
  readonly entries: Model<AuditEntryDocument>;
  readonly tiles: Model<TileDocument>;
  readonly checkpoints: Model<CheckpointDocument>;
  /** Adds an entry inside the transaction of the effect it describes: without the entry, the act does not happen. */
  append(session: ClientSession, entry: NewAuditEntry): Promise<AuditEntryDocument>;
  /** The entry an account recorded under a number, if any. */
  findStep(session: ClientSession, account: string, seq: number): Promise<AuditEntryDocument | null>;
  /** Opens what is personal in entries, as far as there are keys. */
  reveal(entries: readonly AuditEntryDocument[]): Promise<AuditEntry[]>;
  /** What entries of an actor are found by: the deployment's staff and processes, and an account's own keys. */
  actorIndexes(actor: string, account?: string): Promise<string[]>;
}

/** Opens the log on a connection. */
export function openAuditLog(connection: Connection, region: string, vault: Vault): AuditLog {
  const models = auditModelsOn(connection);
  const { entries } = models;
  return {
    ...models,
    async append(session, entry) {
      const document = await compose(vault, region, entry);
      await native(entries).insertOne(document, { session });
      return document;
    },
    async findStep(session, account, seq) {
      const _id = stepId(await vault.systemCipher('lookups'), vault.pseudonymOf(account), seq);
      return native(entries).findOne<AuditEntryDocument>({ _id }, { session });
    },
    async reveal(documents) {
      const ciphers = await ciphersFor(vault, documents);
      return documents.map((document) => revealed(document, ciphers));
    },
    async actorIndexes(actor, account) {
      const own = account === undefined ? undefined : await customerCipher(vault, account);
      return [await vault.systemCipher('lookups'), ...(own === undefined ? [] : [own])].map((cipher) =>
        indexIn(cipher, actor),
      );
    },
  };
}

async function compose(vault: Vault, region: string, entry: NewAuditEntry): Promise<AuditEntryDocument> {
  const { at, actor, action, account, requestId, seq, transitionId } = entry;
  const lookups = await vault.systemCipher('lookups');
  const subject = account === undefined ? undefined : vault.pseudonymOf(account);
  const isStep = subject !== undefined && seq !== undefined;
  const id = isStep ? stepId(lookups, subject, seq) : (entry.id ?? randomUUID());
  const own = account === undefined ? undefined : await customerCipher(vault, account);
  const { facts, personal } = partDetails(plain(entry.details));
  const isCustomers = actor.role === 'customer';
  const isPerson = actor.type === 'key' || actor.type === 'user';
  const from = actor.address === undefined ? {} : { address: actor.address };
  const customer: PersonalPart = {
    ...(account === undefined ? {} : { account }),
    ...(isPerson && isCustomers ? { actor: actor.id, ...from } : {}),
    ...(Object.keys(personal).length === 0 ? {} : { details: personal }),
  };
  const staff: PersonalPart = {
    // Whoever has not shown who they are may be anybody: where they came from is for those who watch over the deployment.
    ...(isPerson && isCustomers ? {} : { ...(isPerson ? { actor: actor.id } : {}), ...from }),
    // What concerns no account is the deployment's own.
    ...(account === undefined && Object.keys(personal).length > 0 ? { details: personal } : {}),
  };
  const parts: Partial<Record<PartName, ReturnType<typeof sealPart>>> = {
    ...(own === undefined ? {} : { customer: sealPart(own, id, 'customer', customer) }),
    ...(Object.keys(staff).length === 0
      ? {}
      : { staff: sealPart(await vault.systemCipher('staff'), id, 'staff', staff) }),
  };
  const index = isPerson && isCustomers ? own : lookups;
  return {
    _id: id,
    region,
    at,
    actor: {
      type: actor.type,
      ...(actor.role === undefined ? {} : { role: actor.role }),
      ...(isPerson ? {} : { id: actor.id }),
    },
    action,
    ...(subject === undefined ? {} : { subject }),
    details: facts as Readonly<Record<string, unknown>>,
    ...(requestId === undefined ? {} : { requestId }),
    ...(seq === undefined ? {} : { seq }),
    ...(transitionId === undefined ? {} : { transitionId }),
    ...(index === undefined ? {} : { actorIndex: indexIn(index, actor.id) }),
    commitments: {
      ...(parts.customer === undefined ? {} : { customer: parts.customer.commitment }),
      ...(parts.staff === undefined ? {} : { staff: parts.staff.commitment }),
    },
    ...(parts.customer === undefined ? {} : { customer: parts.customer.sealed }),
    ...(parts.staff === undefined ? {} : { staff: parts.staff.sealed }),
    tile: staged,
  };
}

/**
 * The id of an account's step. One id for one number is what keeps two steps from sharing it, and finds a step by the one index
 * every database has. Nobody without the key can make it: whoever has an entry's id may ask for its proof.
 */
function stepId(lookups: Cipher, subject: string, seq: number): string {
  return lookups.index('audit.step', `${subject}/${seq}`);
}

function indexIn(cipher: Cipher, actor: string): string {
  return cipher.index('audit.actor', actor);
}

/** The key of an account, while there is one. Of an erased or unknown one an entry says nothing but the pseudonym. */
async function customerCipher(vault: Vault, account: string): Promise<Cipher | undefined> {
  try {
    return await vault.cipherOf(account);
  } catch (error) {
    if (error instanceof KeyDestroyedError || error instanceof KeyMissingError) return undefined;
    throw error;
  }
}

/** What the parts of entries open with. */
interface PartCiphers {
  readonly staff: Cipher;
  /** By pseudonym; those whose keys are gone are left out. */
  readonly customers: ReadonlyMap<string, Cipher>;
}

/** The ciphers of some entries' parts, fetched at once. */
export async function ciphersFor(
  vault: Vault,
  documents: readonly Pick<AuditEntryDocument, 'subject'>[],
): Promise<PartCiphers> {
  const subjects = new Set(documents.flatMap(({ subject }) => (subject === undefined ? [] : [subject])));
  const found = await vault.ciphersOf([...subjects].map((subject) => `~${subject}`));
  const customers = new Map([...found].map(([name, cipher]): [string, Cipher] => [name.slice(1), cipher]));
  return { staff: await vault.systemCipher('staff'), customers };
}

/** What opens a part of an entry; nothing where the key is gone. */
export function cipherOfPart(
  { subject }: Pick<AuditEntryDocument, 'subject'>,
  name: PartName,
  { staff, customers }: PartCiphers,
): Cipher | undefined {
  return name === 'staff' ? staff : customers.get(subject ?? '');
}

function revealed(document: AuditEntryDocument, ciphers: PartCiphers): AuditEntry {
  const { _id, at, actor, action, subject, details, requestId, seq, transitionId, actorIndex } = document;
  const customer = opened(document, 'customer', ciphers);
  const staff = opened(document, 'staff', ciphers);
  const who = actor.id ?? customer.actor ?? staff.actor ?? `~${actorIndex ?? ''}`;
  const address = customer.address ?? staff.address;
  return {
    id: _id,
    at,
    actor: {
      type: actor.type,
      id: who,
      ...(actor.role === undefined ? {} : { role: actor.role }),
      ...(address === undefined ? {} : { address }),
    },
    action,
    ...(subject === undefined ? {} : { account: customer.account ?? `~${subject}` }),
    details: joinDetails(details, { ...staff.details, ...customer.details }) as Readonly<Record<string, unknown>>,
    ...(requestId === undefined ? {} : { requestId }),
    ...(seq === undefined ? {} : { seq }),
    ...(transitionId === undefined ? {} : { transitionId }),
  };
}

/** A part, as far as it opens. That one was tampered with is for the verification to say; nobody is shown it. */
function opened(document: AuditEntryDocument, name: PartName, ciphers: PartCiphers): PersonalPart {
  const cipher = cipherOfPart(document, name, ciphers);
  const sealed: mongo.Binary | undefined = document[name];
  const commitment = document.commitments[name];
  if (cipher === undefined || sealed === undefined || commitment === undefined) return {};
  try {
    return openPart(cipher, document._id, name, sealed, commitment) ?? {};
  } catch (error) {
    if (error instanceof UnreadableValueError) return {};
    throw error;
  }
}
