/** Exports asked for past the API, of accounts that are in the database alone, for tests of where archives lie. */
import { randomUUID } from 'node:crypto';
import type { Store } from '../../src/data';
import { native } from '../../src/database';
import { registerExports, requestExport, type ArchiveStorage, type ExportDocument } from '../../src/exports';
import { begin } from '../../src/lifecycle';
import { randomAccountId, region, standardSettings } from './system';

/** What a store keeps of exports. */
export function exportsOf({ connection }: Store) {
  return native(registerExports(connection).exports);
}

/** An active account with a key, and nothing else. */
export async function addAccount(store: Store): Promise<string> {
  const _id = randomAccountId();
  const at = new Date();
  const lifecycle = begin({ state: 'active', overrides: {} }, at.toISOString(), standardSettings);
  await native(store.accounts).insertOne({
    ...{ _id, region, state: 'active', since: at, lifecycle, inactive: [], seq: 1, version: 1, createdAt: at },
  });
  await store.vault.makeKey(_id);
  return _id;
}

/** Asks for an export of all an account has. @returns its id */
export async function askForExport(store: Store, storage: ArchiveStorage, account: string): Promise<string> {
  const id = `exp_${randomUUID().replaceAll('-', '')}`;
  const at = new Date();
  const asked = await store.transaction((session) =>
    requestExport(store, session, storage, { id, account, requestedBy: 'test', at, to: at }),
  );
  if (!('created' in asked)) throw new Error(JSON.stringify(asked));
  return id;
}

/** An export as it is stored. @throws {Error} there is none of that id */
export async function storedExport(store: Store, id: string): Promise<ExportDocument> {
  const found = await exportsOf(store).findOne<ExportDocument>({ _id: id });
  if (found === null) throw new Error('there is no such export');
  return found;
}
