/** Opening the ledger where the configuration says it lies. */
import type { Vault } from '../vault';
import { openFileStorage } from './file';
import { openLedger, type Ledger } from './ledger';
import { openS3Storage, type LedgerS3Options } from './s3';

/** Where a ledger lies: in a file, or in a bucket. */
export type LedgerPlace = { readonly path: string } | LedgerS3Options;

/** The ledger of a vault's region, at its place. Nothing is read before it is used. */
export function openLedgerAt(place: LedgerPlace, vault: Vault): Ledger {
  return openLedger('path' in place ? openFileStorage(place.path) : openS3Storage(place), vault);
}
