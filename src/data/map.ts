/**
 * The data map: every place customer data lies, declared once. Ingest, purge, export, erasure, its plan and its search,
 * holds, and the table in `docs/data-map.md` are driven by it; at start and in CI the database itself is held against it
 * (see `compare.ts`), so that nobody can add a collection or a field that escapes.
 */

/** The categories of data a customer's requests leave (R1). */
export const categories = ['prompts', 'completions', 'logs', 'usage'] as const;
export type Category = (typeof categories)[number];

/**
 * What a field holds.
 *
 * - `id`: opaque, made by us or by the gateway
 * - `personal`: tells of a person
 * - `content`: what a customer wrote, got, or had stored
 * - `secret`: lets in whoever knows it
 * - `digest`: made of one of these, one way: a key's hash, a blind index
 * - `fact`: a state, a time, a count, a name of ours
 */
export type FieldKind = 'id' | 'personal' | 'content' | 'secret' | 'digest' | 'fact';

/** What is stored encrypted (R21); see `protect.ts`. */
export const encryptedKinds: readonly FieldKind[] = ['personal', 'content', 'secret'];

/**
 * How the documents of a place name their account: in a field, as their `_id`, as the beginning of it (`ACCOUNT:…`), or
 * as the beginning of another field. What outlives the account names it by its pseudonym (R22).
 */
export type Owner =
  | { readonly field: string; readonly by?: 'pseudonym' }
  | { readonly id: 'whole' | 'prefix' }
  | { readonly prefixOf: string };

/** A law that obliges to keep something for a while (R10). */
export interface Statutory {
  readonly law: string;
  /** Whole calendar years after the one the document is dated in; the last day is 31 December. */
  readonly years: number;
}

/** One place customer data lies. */
export interface DataSet {
  readonly name: string;
  /** What it holds, for the documentation. */
  readonly holds: string;
  /** The MongoDB collection. */
  readonly collection: string;
  readonly owner: Owner;
  /** Why some of its documents may concern no account, where that is so. */
  readonly ownerless?: string;
  /** The records of a category carry the event's own time in `at`; they are what R12 purges. */
  readonly category?: Category;
  /** Every field, in dotted form; lists are looked through, and `*` stands for any name and all below it. */
  readonly fields: Readonly<Record<string, FieldKind>>;
  /** Encrypted fields that travel in messages and the log as well, and are stored as the text they travel as. */
  readonly texts?: readonly string[];
  /** What its encrypted fields are encrypted under. @default the account's key */
  readonly key?: string;
  /** On what ground it is kept (GDPR, Art. 6 (1)). */
  readonly basis: string;
  /**
   * What erasure does with it: deletes it while it runs, or at its very end; seals it until the law lets it go (R10);
   * reduces it to the tombstone; or keeps it.
   */
  readonly erasure: 'delete' | 'delete-last' | 'seal' | 'reduce' | 'keep';
  /** Why it is kept, where it is. */
  readonly reason?: string;
  readonly statutory?: Statutory;
  /** Whether a hold may choose it (R9). A hold that chooses nothing holds everything. */
  readonly holdable?: true;
  /** Whether it is part of what a customer downloads (R14). */
  readonly exported?: true;
}

const contract = 'contract, Art. 6 (1) (b)';
const interest = 'legitimate interest, Art. 6 (1) (f)';
const obligation = 'legal obligation, Art. 6 (1) (c)';
const byAccount = { field: 'account' } as const;
const byPseudonym = { field: 'subject', by: 'pseudonym' } as const;

const recordFields = {
  _id: 'id',
  account: 'id',
  callId: 'id',
  at: 'fact',
  model: 'fact',
  userIndex: 'digest',
  body: 'content',
} as const;

const recordTexts: Readonly<Record<Category, string>> = {
  prompts: 'what was asked of a model',
  completions: 'what the model answered',
  logs: 'everything else the gateway reports of a request',
  usage: 'tokens, cost, model and times of a request',
};

/** Everywhere customer data lies in the database. What lies elsewhere is told to its processor; see `processors`. */
export const dataSets: readonly DataSet[] = [
  ...categories.map((category): DataSet => ({
    name: category,
    holds: recordTexts[category],
    collection: category,
    owner: byAccount,
    category,
    fields: recordFields,
    basis: contract,
    erasure: 'delete',
    holdable: true,
    exported: true,
  })),
  {
    name: 'usage-totals',
    holds: 'requests, tokens and cost of a day and model; nothing of a person (R12)',
    collection: 'usageTotals',
    owner: byAccount,
    fields: {
      _id: 'id',
      account: 'id',
      day: 'fact',
      model: 'fact',
      requests: 'fact',
      promptTokens: 'fact',
      completionTokens: 'fact',
      costNano: 'fact',
    },
    basis: contract,
    erasure: 'delete',
    holdable: true,
    exported: true,
  },
  {
    name: 'receipts',
    holds: 'fingerprints of the calls taken in lately, so that a repeat counts once; they go after eight days',
    collection: 'ingestReceipts',
    owner: { id: 'prefix' },
    fields: { _id: 'id', at: 'fact' },
    basis: contract,
    erasure: 'delete',
  },
  {
    name: 'invoices',
    holds: 'invoices to the customer, as the back office stored them',
    collection: 'invoices',
    owner: byAccount,
    fields: { _id: 'id', account: 'id', number: 'id', issuedOn: 'fact', at: 'fact', body: 'content' },
    basis: obligation,
    erasure: 'seal',
    statutory: { law: 'German Fiscal Code (AO) § 147, VAT Act (UStG) § 14b', years: 8 },
    holdable: true,
    exported: true,
  },
  {
    name: 'sealed',
    holds: 'what the law obliges to keep of an erased account, readable by the legal role alone (R10)',
    collection: 'sealedRecords',
    owner: byPseudonym,
    fields: {
      _id: 'id',
      subject: 'id',
      dataset: 'fact',
      key: 'id',
      until: 'fact',
      sealedAt: 'fact',
      law: 'fact',
      document: 'content',
    },
    basis: obligation,
    erasure: 'keep',
    reason: 'kept until the date the law names, then erased with a certificate of its own (R10)',
    key: 'the key of what the law keeps',
  },
  {
    name: 'exports',
    holds: 'what is known of the exports a customer asked for',
    collection: 'exports',
    owner: byAccount,
    fields: {
      _id: 'id',
      account: 'id',
      requestedBy: 'id',
      at: 'fact',
      status: 'fact',
      reason: 'fact',
      datasets: 'fact',
      from: 'fact',
      to: 'fact',
      'progress.*': 'fact',
      'cursor.*': 'fact',
      'parts.*': 'fact',
      'files.*': 'fact',
      bytes: 'fact',
      records: 'fact',
      sha256: 'fact',
      storage: 'fact',
      readyAt: 'fact',
      expiresAt: 'fact',
      endedAt: 'fact',
      stored: 'fact',
    },
    basis: contract,
    erasure: 'delete',
  },
  {
    name: 'archives',
    holds: 'the files of exports, in GridFS, or in the object storage that is configured instead',
    collection: 'archives.files',
    owner: { id: 'prefix' },
    fields: {
      _id: 'id',
      length: 'fact',
      chunkSize: 'fact',
      uploadDate: 'fact',
      filename: 'id',
    },
    basis: contract,
    erasure: 'delete',
  },
  {
    name: 'archive-chunks',
    holds: 'the bytes of those files',
    collection: 'archives.chunks',
    owner: { prefixOf: 'files_id' },
    fields: { _id: 'id', files_id: 'id', n: 'fact', data: 'content' },
    basis: contract,
    erasure: 'delete',
  },
  {
    name: 'person-requests',
    holds: "requests to erase one person's records; the person is forgotten when one is done",
    collection: 'personRequests',
    owner: byAccount,
    fields: {
      _id: 'id',
      account: 'id',
      userIndex: 'digest',
      requestedBy: 'id',
      requestId: 'id',
      at: 'fact',
      status: 'fact',
      'erased.*': 'fact',
      held: 'fact',
      endedAt: 'fact',
    },
    basis: obligation,
    erasure: 'delete',
  },
  {
    name: 'processor-requests',
    holds: 'what processors were told to erase, and what they answered',
    collection: 'processorRequests',
    owner: byPseudonym,
    fields: {
      _id: 'id',
      subject: 'id',
      identity: 'secret',
      certificate: 'id',
      processor: 'id',
      kind: 'fact',
      status: 'fact',
      at: 'fact',
      attempts: 'fact',
      lastError: 'fact',
      lastSentAt: 'fact',
      expectedBy: 'fact',
      escalatedAt: 'fact',
      alertedAt: 'fact',
      endedAt: 'fact',
      'receipts.*': 'fact',
    },
    key: "the deployment's key",
    basis: obligation,
    erasure: 'keep',
    reason: "proof that processors were told; the account's id is in it, encrypted, until its processor has answered",
  },
  {
    name: 'idempotency',
    holds: 'answers kept for a day for requests that may be repeated',
    collection: 'idempotencyKeys',
    owner: byAccount,
    ownerless: 'requests that concern the deployment',
    fields: {
      _id: 'id',
      fingerprint: 'digest',
      account: 'id',
      'reserved.*': 'id',
      status: 'fact',
      body: 'content',
      under: 'fact',
      'headers.*': 'fact',
      at: 'fact',
    },
    key: "the account's key, or the deployment's",
    basis: contract,
    erasure: 'delete-last',
  },
  {
    name: 'drafts',
    holds: 'profiles of accounts that are being created',
    collection: 'accountDrafts',
    owner: byAccount,
    fields: {
      _id: 'id',
      account: 'id',
      name: 'personal',
      email: 'personal',
      plan: 'fact',
      locale: 'fact',
      createdAt: 'fact',
    },
    basis: contract,
    erasure: 'delete-last',
  },
  {
    name: 'keys',
    holds: "the customer's API keys, hashed",
    collection: 'apiKeys',
    owner: byAccount,
    ownerless: 'staff and gateways',
    fields: {
      _id: 'id',
      name: 'personal',
      role: 'fact',
      account: 'id',
      hash: 'digest',
      createdAt: 'fact',
      createdBy: 'id',
      expiresAt: 'fact',
      revokedAt: 'fact',
      scopes: 'fact',
      rotatedFrom: 'id',
      rotatedTo: 'id',
    },
    key: "the account's key, or the staff's",
    basis: contract,
    erasure: 'delete-last',
  },
  {
    name: 'approvals',
    holds: 'acts of staff that wait for a second person, for a day',
    collection: 'approvals',
    owner: byAccount,
    ownerless: 'acts that concern the deployment',
    fields: {
      _id: 'id',
      act: 'fact',
      method: 'fact',
      path: 'id',
      account: 'id',
      roles: 'fact',
      scope: 'fact',
      fingerprint: 'digest',
      request: 'content',
      status: 'fact',
      askedBy: 'id',
      askedAt: 'fact',
      expiresAt: 'fact',
      decidedBy: 'id',
      decidedAt: 'fact',
      usedFor: 'id',
      usedAt: 'fact',
    },
    key: "the account's key, or the staff's",
    basis: interest,
    erasure: 'delete-last',
  },
  {
    name: 'key-uses',
    holds: 'when each key was last used, to the minute',
    collection: 'keyUses',
    owner: byAccount,
    ownerless: 'staff and gateways',
    fields: { _id: 'id', account: 'id', at: 'fact' },
    basis: interest,
    erasure: 'delete-last',
  },
  {
    name: 'users',
    holds: "the customer's people who have signed in; who they are to their provider is a keyed hash",
    collection: 'users',
    owner: byAccount,
    ownerless: 'staff',
    fields: {
      _id: 'digest',
      provider: 'fact',
      name: 'personal',
      email: 'personal',
      role: 'fact',
      account: 'id',
      firstSeenAt: 'fact',
      lastSeenAt: 'fact',
      blockedAt: 'fact',
    },
    key: "the account's key, or the staff's",
    basis: contract,
    erasure: 'delete-last',
  },
  {
    name: 'sessions',
    holds: 'where they are signed in, the token hashed; each goes when it ends',
    collection: 'sessions',
    owner: byAccount,
    ownerless: 'staff',
    fields: {
      _id: 'id',
      user: 'digest',
      role: 'fact',
      account: 'id',
      provider: 'fact',
      hash: 'digest',
      providerSession: 'digest',
      idToken: 'secret',
      authenticatedAt: 'fact',
      usedAt: 'fact',
      address: 'personal',
      userAgent: 'personal',
      endsAt: 'fact',
      until: 'fact',
    },
    key: "the account's key, or the staff's",
    basis: contract,
    erasure: 'delete-last',
  },
  {
    name: 'allowed-addresses',
    holds: "the addresses an account's users, keys and end users may come from (R27)",
    collection: 'allowedAddresses',
    owner: byAccount,
    ownerless: "the deployment's own list",
    fields: { _id: 'id', account: 'id', entries: 'personal', version: 'fact', changedAt: 'fact' },
    key: "the account's key, or the staff's",
    basis: contract,
    erasure: 'delete-last',
  },
  {
    // Counts late data to the last; goes in the very transaction that leaves the tombstone.
    name: 'gate',
    holds: 'whether records may be written, and when the next one passes its age',
    collection: 'gates',
    owner: { id: 'whole' },
    fields: { _id: 'id', open: 'fact', passed: 'fact', discarded: 'fact', refused: 'fact', purgeAt: 'fact' },
    basis: contract,
    erasure: 'reduce',
  },
  {
    name: 'profile',
    holds: 'the account itself: its profile, its course, its policy and its holds; then its tombstone, by pseudonym',
    collection: 'accounts',
    owner: { id: 'whole' },
    fields: {
      _id: 'id',
      region: 'fact',
      name: 'personal',
      email: 'personal',
      nameIndex: 'digest',
      emailIndex: 'digest',
      plan: 'fact',
      locale: 'fact',
      state: 'fact',
      since: 'fact',
      'deadline.action': 'fact',
      'deadline.at': 'fact',
      'lifecycle.state': 'fact',
      'lifecycle.since': 'fact',
      'lifecycle.causes.reason': 'fact',
      'lifecycle.causes.at': 'fact',
      'lifecycle.causes.note': 'personal',
      'lifecycle.closure': 'fact',
      'lifecycle.period.length': 'fact',
      'lifecycle.period.notBefore': 'fact',
      'lifecycle.period.afterHold': 'fact',
      'lifecycle.overrides.gracePeriod': 'fact',
      'lifecycle.overrides.expiryPeriod': 'fact',
      'lifecycle.overrides.activeRetentionDays': 'fact',
      'lifecycle.holds.id': 'id',
      'lifecycle.holds.reason': 'personal',
      'lifecycle.holds.placedAt': 'fact',
      'lifecycle.holds.placedBy': 'id',
      'lifecycle.holds.until': 'fact',
      'lifecycle.holds.datasets': 'fact',
      'lifecycle.holds.reviewAt': 'fact',
      'lifecycle.erasingSince': 'fact',
      'lifecycle.spared': 'fact',
      'inactive.from': 'fact',
      'inactive.to': 'fact',
      'erasing.since': 'fact',
      'erasing.done': 'fact',
      'erasing.total': 'fact',
      'erasing.sets.*': 'fact',
      'erasing.halted': 'fact',
      'erasing.plan.*': 'fact',
      'reErasing.*': 'fact',
      'delays.reason': 'fact',
      'delays.detail': 'fact',
      'delays.since': 'fact',
      'delays.until': 'fact',
      'delays.alertedAt': 'fact',
      'delays.escalatedAt': 'fact',
      'heldBack.since': 'fact',
      'heldBack.releasedAt': 'fact',
      'formerly.at': 'fact',
      'formerly.name': 'personal',
      'formerly.email': 'personal',
      'purging.cutoff': 'fact',
      'purging.days': 'fact',
      'purging.records.*': 'fact',
      passes: 'fact',
      lateRefused: 'fact',
      certificateIds: 'id',
      retainedUntil: 'fact',
      listed: 'fact',
      'lapsing.*': 'fact',
      seq: 'fact',
      version: 'fact',
      createdAt: 'fact',
      erasedAt: 'fact',
    },
    texts: ['lifecycle.causes.note', 'lifecycle.holds.reason'],
    basis: contract,
    erasure: 'reduce',
  },
  {
    name: 'audit',
    holds: 'who did what to the account, and when; never content',
    collection: 'auditEntries',
    owner: byPseudonym,
    ownerless: 'acts that concern the deployment',
    fields: {
      _id: 'id',
      region: 'fact',
      at: 'fact',
      'actor.type': 'fact',
      'actor.id': 'id',
      'actor.role': 'fact',
      action: 'fact',
      subject: 'id',
      'details.*': 'fact',
      requestId: 'id',
      seq: 'fact',
      transitionId: 'id',
      actorIndex: 'id',
      'commitments.customer': 'fact',
      'commitments.staff': 'fact',
      customer: 'personal',
      staff: 'personal',
      tile: 'fact',
      position: 'fact',
      sequencedAt: 'fact',
    },
    basis: interest,
    erasure: 'keep',
    reason: 'names the account by a pseudonym once its key is destroyed, and goes with the retention of the log (R20)',
  },
];

/** A collection that holds nothing of any account, and why. */
export interface OtherCollection {
  readonly collection: string;
  readonly holds: string;
  readonly fields: Readonly<Record<string, FieldKind>>;
  /** What its encrypted fields are encrypted under. @default nothing is encrypted */
  readonly key?: string;
}

/** Every other collection there may be. None of them names an account. */
export const otherCollections: readonly OtherCollection[] = [
  {
    collection: 'settings',
    holds: "the deployment's own numbers, and its region",
    fields: {
      _id: 'id',
      region: 'fact',
      keyStore: 'id',
      gracePeriod: 'fact',
      expiryPeriod: 'fact',
      version: 'fact',
      'admitted.*': 'fact',
      passes: 'fact',
    },
  },
  {
    collection: 'rateLimits',
    holds:
      'how often somebody asked lately, by process: a keyed hash of a key, person or address; it goes within minutes',
    fields: { _id: 'digest', 'counts.*': 'fact', until: 'fact' },
  },
  {
    collection: 'certificates',
    holds: 'certificates of erasure, which name the account by a pseudonym only (R22)',
    fields: {
      _id: 'id',
      kind: 'fact',
      subject: 'id',
      issuedAt: 'fact',
      'content.*': 'fact',
      entry: 'id',
      jws: 'fact',
      ledger: 'fact',
      'late.*': 'fact',
      'addenda.*': 'fact',
    },
  },
  {
    collection: 'auditTiles',
    holds: "the audit log's tree: hashes of entries, and their ids",
    fields: { _id: 'id', level: 'fact', index: 'fact', hashes: 'fact', entries: 'id' },
  },
  {
    collection: 'auditCheckpoints',
    holds: "the audit log's signed states: the newest, and the last of each hour",
    fields: { _id: 'id', size: 'fact', root: 'fact', at: 'fact', note: 'fact', start: 'fact', pruned: 'fact' },
  },
  {
    collection: 'ledgerPosition',
    holds: 'how far the ledger of erasures was compared with this database; a restore moves it back (R23)',
    fields: { _id: 'id', seq: 'fact', hash: 'fact', start: 'fact', end: 'fact', restored: 'fact' },
  },
  {
    collection: 'spentSignIns',
    holds: 'hashes of completed sign-ins and of what providers said of people who signed out: each counts once',
    fields: { _id: 'digest', until: 'fact' },
  },
  {
    collection: 'processors',
    holds: 'whom to tell when an account is erased',
    fields: {
      _id: 'id',
      name: 'fact',
      kind: 'fact',
      url: 'fact',
      secret: 'secret',
      domain: 'fact',
      certificate: 'fact',
      certificateFrom: 'fact',
      createdAt: 'fact',
      createdBy: 'id',
      removedAt: 'fact',
    },
    key: "the deployment's key",
  },
  {
    collection: 'providers',
    holds: 'who stores or processes records for this deployment, and what they disclose of how they protect them (R24)',
    fields: {
      _id: 'id',
      name: 'fact',
      'facts.*': 'fact',
      contact: 'personal',
      notes: 'personal',
      'disclosure.*': 'fact',
      nextReview: 'fact',
      draft: 'fact',
      version: 'fact',
      acts: 'fact',
      createdAt: 'fact',
      updatedAt: 'fact',
      removedAt: 'fact',
      'alarm.*': 'fact',
    },
    key: "the staff's key",
  },
];

/** The declared set of a name. @throws {Error} there is none */
export function dataSetNamed(name: string): DataSet {
  const set = dataSets.find((candidate) => candidate.name === name);
  if (set === undefined) throw new Error(`there is no data set ${name}`);
  return set;
}

/** The data sets a hold may name (R9). */
export const holdableDataSets: readonly string[] = dataSets.filter((set) => set.holdable).map((set) => set.name);

/** What finds the documents of an account in a place, by the name it has there. */
export function ownedBy(account: string, { owner }: Pick<DataSet, 'owner'>): Readonly<Record<string, unknown>> {
  if ('field' in owner) return { [owner.field]: account };
  // `;` follows `:`, so the range holds everything that begins with the account's id and a colon.
  const range = { $gte: `${account}:`, $lt: `${account};` };
  if ('prefixOf' in owner) return { [owner.prefixOf]: range };
  return { _id: owner.id === 'whole' ? account : range };
}
