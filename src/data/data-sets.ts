/**
 * Where customer data lies: the one declared list. Erasure, the search that proves it, and holds walk it, and every
 * collection there is has to be in it or be declared to hold nothing of accounts.
 */

/** The categories of data a customer's requests leave (R1). */
export const categories = ['prompts', 'completions', 'logs', 'usage'] as const;
export type Category = (typeof categories)[number];

/** One place customer data lies. */
export interface DataSet {
  readonly name: string;
  /** The MongoDB collection. */
  readonly collection: string;
  /** The field that names the account. */
  readonly accountPath: 'account' | '_id';
  /** The records of a category carry the event's own time in `at`, are what holds protect and customers read. */
  readonly category?: Category;
  /** What erasure does with it. */
  readonly erasure: 'delete' | 'reduce-to-tombstone' | 'keep';
  /** Why it is kept, where it is. */
  readonly reason?: string;
}

export const dataSets: readonly DataSet[] = [
  ...categories.map((category): DataSet => ({
    name: category,
    collection: category,
    accountPath: 'account',
    category,
    erasure: 'delete',
  })),
  { name: 'idempotency', collection: 'idempotencyKeys', accountPath: 'account', erasure: 'delete' },
  { name: 'drafts', collection: 'accountDrafts', accountPath: 'account', erasure: 'delete' },
  { name: 'keys', collection: 'apiKeys', accountPath: 'account', erasure: 'delete' },
  // Counts late data to the last; goes in the very transaction that leaves the tombstone.
  { name: 'gate', collection: 'gates', accountPath: '_id', erasure: 'reduce-to-tombstone' },
  { name: 'profile', collection: 'accounts', accountPath: '_id', erasure: 'reduce-to-tombstone' },
  {
    name: 'audit',
    collection: 'auditEntries',
    accountPath: 'account',
    erasure: 'keep',
    reason: 'audit entries name the account by its opaque id and last as long as the log (R20)',
  },
];

/** The data sets a hold may name (R9). */
export const holdableDataSets: readonly string[] = [...categories];

/** Collections that hold nothing of any account. */
export const withoutAccountData: readonly string[] = ['settings'];
