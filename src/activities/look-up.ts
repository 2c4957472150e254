import {
  AccountMissingError,
  effectiveSettings,
  findAccountWith,
  holdableDataSets,
  holdsNotes,
  openMessage,
  sealNotes,
  type Store,
} from '../data';
import type { Command, CommandName, Flaw, MessageContext, Plan, Settings } from '../lifecycle';
import { parseCommand, parseContext } from '../lifecycle/schemas';
import { KeyDestroyedError, KeyMissingError, UnreadableValueError } from '../vault';

/** What is asked before a decision. */
export interface Question {
  readonly account: string;
  /** The message to decide on, as it came; absent for a timer. */
  readonly message?: { readonly name: CommandName; readonly body: unknown; readonly context?: unknown };
}

/** What a decision needs to know beside the account's own course. */
export interface Surroundings {
  /** The number of the last step that is recorded. */
  readonly recorded?: number;
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
    findAccountWith(store, account, { projection: { version: 1, plan: 1, state: 1, seq: 1 } }),
    effectiveSettings(store, configured),
  ]);
  if (found === null) throw new AccountMissingError(`there is no account ${account}`);
  const { version, plan = 'standard', state, seq } = found;
  const surroundings = { recorded: seq, version, plan, settings, datasets: holdableDataSets };
  if (message === undefined) return { surroundings };
  const { name, body } = message;
  // Of an erased account nothing is kept: that it is erased is found out when its next step cannot be recorded.
  const command = state === 'erased' ? parseCommand(name, body) : await readNoted(store, account, name, body);
  return { surroundings, reading: withSender(command, message.context) };
}

function withSender(command: { command: Command } | { flaws: readonly Flaw[] }, context: unknown): Reading {
  if ('flaws' in command) return command;
  const sender = parseContext(context);
  return 'flaws' in sender ? sender : { ...command, ...sender };
}

/**
 * Reads what a message asks. Free text in it goes on encrypted (R21): from the API it comes that way, and by hand it may come
 * in the clear.
 */
async function readNoted(
  store: Store,
  account: string,
  name: CommandName,
  body: unknown,
): Promise<{ command: Command } | { flaws: readonly Flaw[] }> {
  if (!holdsNotes(name, body)) return parseCommand(name, body);
  try {
    const cipher = await store.vault.cipherOf(account);
    const read = parseCommand(name, openMessage(cipher, name, body));
    if ('flaws' in read || !('body' in read.command)) return read;
    return { command: { ...read.command, body: sealNotes(cipher, name, read.command.body) } as Command };
  } catch (error) {
    if (error instanceof UnreadableValueError)
      return { flaws: [{ path: '', detail: 'its text is not encrypted for this account' }] };
    if (error instanceof KeyDestroyedError || error instanceof KeyMissingError)
      return { flaws: [{ path: '', detail: 'its text cannot be kept: the account has no key' }] };
    throw error;
  }
}
