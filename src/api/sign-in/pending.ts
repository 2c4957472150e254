/**
 * Sign-ins under way: what has to come back with the person lies in a cookie of that browser, sealed, one for each sign-in, so
 * that tabs do not get in each other's way. Another browser cannot complete it, and nobody a second time.
 */
import { z } from 'zod';
import { isSealedText, UnreadableValueError, type Vault } from '../../vault';
import type { Secrets } from '../../sso';

/** A sign-in under way. */
export interface Pending extends Secrets {
  readonly provider: string;
  /** Where the provider sends the person back to, as it was told. */
  readonly redirectUri: string;
  /** Where they go then. */
  readonly returnTo: string;
  /** The person has to prove anew who they are. */
  readonly fresh: boolean;
  /** Who it has to be, where somebody signed in proves who they are. */
  readonly user?: string;
  readonly begunAt: Date;
}

/** How long a sign-in may take, in milliseconds. */
export const mostTime = 10 * 60_000;
/** Sign-ins one browser may have under way: more cookies, and servers refuse its requests as too large. */
export const mostPending = 5;

const field = 'sign-in';
const shape = z.strictObject({
  provider: z.string(),
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  redirectUri: z.string(),
  returnTo: z.string(),
  fresh: z.boolean(),
  user: z.string().optional(),
  begunAt: z.iso.datetime().transform((text) => new Date(text)),
});

/** As the cookie holds it. */
export async function sealPending(vault: Vault, pending: Pending): Promise<string> {
  return (await vault.systemCipher('secrets')).sealText(JSON.stringify(pending), field);
}

/** What {@link sealPending} was given; nothing where this is something else. */
export async function openPending(vault: Vault, value: string): Promise<Pending | undefined> {
  if (!isSealedText(value)) return undefined;
  try {
    const text = (await vault.systemCipher('secrets')).openText(value, field);
    const { user, ...pending } = shape.parse(JSON.parse(text));
    return user === undefined ? pending : { ...pending, user };
  } catch (error) {
    if (error instanceof UnreadableValueError) return undefined;
    throw error;
  }
}
