/**
 * What lowering active-data retention would purge, and the token that says somebody has seen just that (R12).
 *
 * The token names account, days and the instant up to which was counted, with a fingerprint of the counts: counting
 * again up to the same instant tells whether it still holds. It proves what was shown, not who asked, so it needs no key.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import { cutoffOf, previewPurge, type PurgeShare, type Store } from '../data';
import { Problem } from './problems';

const dayLength = 24 * 60 * 60 * 1000;
const tokenLife = 15 * 60 * 1000;

/** Whether a new value purges what the one before kept. `null` is without limit. */
export function isLowered(before: number | null, after: number | null): after is number {
  return after !== null && (before === null || after < before);
}

/** What a PATCH must repeat. */
export function confirmationOf(
  account: string,
  days: number | null,
  cutoff: Date,
  purge: readonly PurgeShare[],
): string {
  const payload = [days, cutoff.getTime(), fingerprintOf(account, days, cutoff, purge)];
  return Buffer.from(JSON.stringify(payload)).toString('base64url');
}

const confirmationSchema = z.tuple([z.int().min(0).max(365), z.int(), z.string()]);

/** @throws {Problem} conflict, unless the confirmation shows exactly what would be purged */
export async function assertConfirmed(
  store: Store,
  account: string,
  days: number,
  confirm: string | undefined,
  now: Date,
): Promise<void> {
  if (confirm === undefined) {
    const purge = await previewPurge(store, account, cutoffOf(days, now));
    const records = purge.reduce((sum, share) => sum + share.records, 0);
    if (records === 0) return;
    throw new Problem('conflict', `this would purge ${records} records; ask for a preview and repeat its confirm`);
  }
  const seen = readConfirmation(confirm);
  const age = seen === undefined ? Infinity : now.getTime() - seen.cutoff.getTime() - days * dayLength;
  if (seen?.days !== days || age < 0 || age > tokenLife) {
    throw new Problem('conflict', 'the confirm is not of a recent preview of this change; ask for a new preview');
  }
  const purge = await previewPurge(store, account, seen.cutoff);
  if (fingerprintOf(account, days, seen.cutoff, purge) !== seen.fingerprint) {
    throw new Problem('conflict', 'what would be purged has changed since the preview; ask for a new one');
  }
}

function readConfirmation(text: string): { days: number; cutoff: Date; fingerprint: string } | undefined {
  try {
    const [days, cutoff, fingerprint] = confirmationSchema.parse(JSON.parse(Buffer.from(text, 'base64url').toString()));
    return { days, cutoff: new Date(cutoff), fingerprint };
  } catch {
    return undefined;
  }
}

function fingerprintOf(account: string, days: number | null, cutoff: Date, purge: readonly PurgeShare[]): string {
  return hash('sha256', JSON.stringify([account, days, cutoff.getTime(), purge]), 'base64url').slice(0, 22);
}
