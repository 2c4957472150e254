import { AccountMissingError, effectiveSettings, holdableDataSets, type Store } from '../data';
import type { Command, CommandName, Flaw, MessageContext, Plan, Settings } from '../lifecycle';
import { parseCommand, parseContext } from '../lifecycle/schemas';

/** What is asked before a decision. */
export interface Question {
  readonly account: string;
  /** The message to decide on, as it came; absent for a timer. */
  readonly message?: { readonly name: CommandName; readonly body: unknown; readonly context?: unknown };
}

/** What a decision needs to know beside the account's own course. */
export interface Surroundings {
  /** The account's version, for `If-Match`. */
  readonly version: number;
  readonly plan: Plan;
  readonly settings: Settings;
  readonly datasets: readonly string[];
}

/** What a message says: a command and who sent it, or what is wrong with it. */
export type Reading =
  { readonly command: Command; readonly context?: MessageContext } | { readonly flaws: readonly Flaw[] };

export interface LookedUp {
  readonly surroundings: Surroundings;
  readonly reading?: Reading;
}

/** Reads what surrounds an account's course, and the message, just before a decision. @throws {AccountMissingError} */
export async function lookUp(store: Store, configured: Settings, { account, message }: Question): Promise<LookedUp> {
  const [found, settings] = await Promise.all([
    store.accounts.findById(account, { version: 1, plan: 1 }).lean().exec(),
    effectiveSettings(store, configured),
  ]);
  if (found === null) throw new AccountMissingError(`there is no account ${account}`);
  const { version, plan = 'standard' } = found;
  const surroundings = { version, plan, settings, datasets: holdableDataSets };
  return message === undefined ? { surroundings } : { surroundings, reading: read(message) };
}

function read({ name, body, context }: NonNullable<Question['message']>): Reading {
  const command = parseCommand(name, body);
  if ('flaws' in command) return command;
  const sender = parseContext(context);
  return 'flaws' in sender ? sender : { ...command, ...sender };
}
