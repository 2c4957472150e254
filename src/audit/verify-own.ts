/** Verifying a log with the keys of the deployment it belongs to. */
import type { Vault } from '../vault';
import { noteKeyOf } from './note';
import type { LogSource } from './source';
import { verifyLog, type Verification, type VerifyOptions } from './verify';

/** Verifies a log by the public keys of its own vault, opening what is personal with it. Otherwise as {@link verifyLog}. */
export async function verifyOwnLog(
  source: LogSource,
  vault: Vault,
  options: Pick<VerifyOptions, 'witnesses' | 'progress'> = {},
): Promise<Verification> {
  const keys = await vault.publicKeys();
  const by = (trusted: typeof keys) =>
    verifyLog(source, { ...options, vault, keys: trusted.map((key) => noteKeyOf(source.origin, key)) });
  const found = await by(keys);
  if (found.ok) return found;
  // The signing key may have been replaced while the log was read: what was signed since is no fault.
  const present = await vault.publicKeys();
  return present.length === keys.length ? found : by(present);
}
