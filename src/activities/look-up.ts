import { effectiveSettings, holdableDataSets, AccountMissingError, type Store } from '../data';
import type { Plan, Settings } from '../lifecycle';

/** What a decision needs to know beside the account's own course. */
export interface Surroundings {
  /** The account's version, for `If-Match`. */
  readonly version: number;
  readonly plan: Plan;
  readonly settings: Settings;
  readonly datasets: readonly string[];
}

/** Reads what surrounds an account's course, just before a decision. @throws {AccountMissingError} */
export async function lookUp(store: Store, configured: Settings, account: string): Promise<Surroundings> {
  const [found, settings] = await Promise.all([
    store.accounts.findById(account, { version: 1, plan: 1 }).lean().exec(),
    effectiveSettings(store, configured),
  ]);
  if (found === null) throw new AccountMissingError(`there is no account ${account}`);
  return { version: found.version, plan: found.plan ?? 'standard', settings, datasets: holdableDataSets };
}
