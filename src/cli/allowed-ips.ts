/**
 * `ablauf allowed-ips`: the lists of allowed addresses (R27), from the machine itself: the way back in for whoever is locked out. It
 * asks the database, not the API, and needs no key; what it does is in the audit log as done from here.
 */
import { Command } from 'commander';
import { cipherOfList, deploymentList, entriesOf, findList, replaceList, type AddressEntry } from '../access';
import { readConfig } from '../config';
import { findAccount, type Store } from '../data';
import type { Actor } from '../lifecycle';
import { openConfiguredStore } from '../open-store';
import { openConfiguredVault } from '../open-vault';
import { UnreadableValueError } from '../vault';
import { print, refuse, say } from './deployment';

interface Options {
  readonly account?: string;
  readonly json?: true;
}

const account = ['--account <id>', "an account's list; the deployment's where it is not given"] as const;
const json = ['--json', 'print it as JSON'] as const;
const byHand: Actor = { type: 'system', id: 'command-line' };

export function allowedIpsCommand(): Command {
  return new Command('allowed-ips')
    .description('the lists of allowed addresses; the way back in for whoever is locked out')
    .addCommand(
      new Command('show')
        .description('show a list; changes nothing')
        .option(...account)
        .option(...json)
        .action((options: Options) => withStore((store) => show(store, options))),
    )
    .addCommand(
      new Command('reset')
        .description('empty a list, so that it restricts nothing; on every process within two seconds')
        .option(...account)
        .option(...json)
        .action((options: Options) => withStore((store) => reset(store, options))),
    );
}

async function withStore(work: (store: Store) => Promise<void>): Promise<void> {
  const config = readConfig(process.env);
  const vault = await openConfiguredVault(config);
  let store: Store;
  try {
    store = await openConfiguredStore(config, vault, { appName: 'ablauf-allowed-ips' });
  } catch (error) {
    await vault.close();
    throw error;
  }
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

async function show(store: Store, options: Options): Promise<void> {
  if (!(await isKnown(store, options))) return;
  const id = options.account ?? deploymentList;
  const found = await findList(store, id);
  const entries = found === null ? [] : entriesOf(await cipherOfList(store.vault, id), found);
  if (options.json === true) {
    print({ entries, version: found?.version ?? 0 });
    return;
  }
  for (const entry of entries) say(lineOf(entry));
  if (entries.length === 0) say('The list is empty: it restricts nothing.');
}

async function reset(store: Store, options: Options): Promise<void> {
  if (!(await isKnown(store, options))) return;
  const id = options.account ?? deploymentList;
  const removed = await store.transaction(async (session) => {
    const found = await findList(store, id, session);
    if (found === null) return 0;
    // A list that somebody altered keeps everybody out: it has to go all the same.
    const before = await readableEntries(store, id, found);
    if (before?.length === 0) return 0;
    const at = new Date();
    if (!(await replaceList(store, session, { id, entries: [], version: found.version + 1, at }))) return undefined;
    await store.audit.append(session, {
      at,
      actor: byHand,
      action: 'addresses.changed',
      details: { before: before === undefined ? 'unreadable' : { entries: before }, after: { entries: [] } },
      ...(id === deploymentList ? {} : { account: id }),
    });
    return before?.length ?? 1;
  });
  if (removed === undefined) {
    refuse('the account is being erased: its list goes with it');
    return;
  }
  if (options.json === true) print({ removed });
  else if (removed === 0) say('The list was empty already.');
  else say('The list is empty now, and restricts nothing: on every process within two seconds.');
}

async function readableEntries(
  { vault }: Store,
  id: string,
  found: Parameters<typeof entriesOf>[1],
): Promise<readonly AddressEntry[] | undefined> {
  try {
    return entriesOf(await cipherOfList(vault, id), found);
  } catch (error) {
    if (error instanceof UnreadableValueError) return undefined;
    throw error;
  }
}

/** Says so where an account is named that is none. */
async function isKnown(store: Store, { account: id }: Options): Promise<boolean> {
  if (id === undefined) return true;
  const found = await findAccount(store, id);
  if (found !== null && found.state !== 'erased' && found.region === store.region) return true;
  refuse(`there is no account ${id}`);
  return false;
}

function lineOf({ cidr, note, for: uses }: AddressEntry): string {
  return [
    cidr,
    ...(uses === undefined ? [] : [`(${uses.join(', ')} only)`]),
    ...(note === undefined ? [] : [note]),
  ].join('  ');
}
