/**
 * Profiles of accounts (R21): a name and an address, encrypted under the account's key, and found again by blind index.
 *
 * 1. An account's key is made before anything of it is stored. With the key destroyed nothing can be stored under its id again.
 * 2. Names and addresses are looked up over all accounts by a keyed hash of how they are written but for case and space.
 * 3. One profile that cannot be opened does not keep others from being read.
 */
import { native } from '../database';
import { KeyDestroyedError, KeyMissingError, UnreadableValueError, type Cipher } from '../vault';
import type { AccountDocument, AccountDraft } from './documents';
import { AccountExistsError, AccountMissingError } from './errors';
import { openNotes, withoutNotes } from './notes';
import { protect, reveal, type Opened } from './protect';
import type { Store } from './store';

const accounts = 'accounts';
const drafts = 'accountDrafts';

/** An account with its profile and its notes opened. */
export interface Profile extends Opened<AccountDocument> {
  /** It could not be opened: what is personal is left out. */
  readonly unreadable?: true;
}

/**
 * Makes an account's key, and stores what the account will carry. Safe to repeat.
 *
 * @throws {AccountExistsError} the key was destroyed: the id was an erased account's (R8)
 */
export async function storeDraft(store: Store, draft: Opened<AccountDraft>): Promise<void> {
  const cipher = await store.vault.makeKey(draft.account).catch((error: unknown) => {
    throw error instanceof KeyDestroyedError ? idErased(draft.account) : error;
  });
  const stored = protect<AccountDraft>(cipher, drafts, draft);
  await native(store.drafts).replaceOne({ _id: draft._id }, stored, { upsert: true });
}

function idErased(account: string): AccountExistsError {
  return new AccountExistsError(`the id ${account} was an erased account's, and ids are never reused`);
}

/**
 * The profile of a draft, as its account stores it.
 *
 * @throws {AccountExistsError} the key was destroyed meanwhile
 * @throws {AccountMissingError} there is no key: the creation was given up
 */
export async function profileOf(
  store: Store,
  draft: AccountDraft,
): Promise<Pick<AccountDocument, 'name' | 'email' | 'nameIndex' | 'emailIndex'>> {
  const { account } = draft;
  const cipher = await store.vault.cipherOf(account).catch((error: unknown) => {
    if (error instanceof KeyDestroyedError) throw idErased(account);
    if (error instanceof KeyMissingError) throw new AccountMissingError(`the key of account ${account} is not there`);
    throw error;
  });
  const { name, email } = reveal(cipher, drafts, draft);
  return protectProfile(store, cipher, account, { name, email });
}

/** What may be changed of a profile, of what is personal. */
interface PersonalFields {
  readonly name?: string | undefined;
  readonly email?: string | undefined;
}

/** Names and addresses as an account stores them, with what finds them. What is absent stays absent. */
export async function protectProfile(
  store: Store,
  cipher: Cipher,
  account: string,
  { name, email }: PersonalFields,
): Promise<Pick<AccountDocument, 'name' | 'email' | 'nameIndex' | 'emailIndex'>> {
  const lookups = await store.vault.systemCipher('lookups');
  const { _id, ...fields } = protect<Pick<AccountDocument, '_id' | 'name' | 'email'>>(cipher, accounts, {
    _id: account,
    ...(name === undefined ? {} : { name }),
    ...(email === undefined ? {} : { email }),
  });
  return {
    ...fields,
    ...(name === undefined ? {} : { nameIndex: lookups.index('accounts.name', foldedForm(name)) }),
    ...(email === undefined ? {} : { emailIndex: lookups.index('accounts.email', foldedForm(email)) }),
  };
}

/** What a correction replaced, as it is kept with the account under a hold (R9). */
export function protectFormer(
  cipher: Cipher,
  account: string,
  former: { readonly at: Date } & PersonalFields,
): NonNullable<AccountDocument['formerly']> {
  const { at, name, email } = former;
  const one = { at, ...(name === undefined ? {} : { name }), ...(email === undefined ? {} : { email }) };
  return (
    protect<Pick<AccountDocument, '_id' | 'formerly'>>(cipher, accounts, { _id: account, formerly: [one] }).formerly ??
    []
  );
}

/** What the stored indexes of a name and of an address are, if they are this text. */
export async function indexesOf(
  store: Store,
  text: string,
): Promise<{ readonly nameIndex: string; readonly emailIndex: string }> {
  const lookups = await store.vault.systemCipher('lookups');
  const form = foldedForm(text);
  return { nameIndex: lookups.index('accounts.name', form), emailIndex: lookups.index('accounts.email', form) };
}

/** Texts that people take for the same have the same form: composed, without case, without space around them. */
function foldedForm(text: string): string {
  // Upper case first: it is what tells apart least, "ß" and "ss" for one.
  return text.normalize('NFC').trim().toUpperCase().toLowerCase().normalize('NFC');
}

/**
 * An account, opened. Without its key it is opened without what is personal.
 *
 * @throws {KeyDestroyedError} it is being erased at this moment, or a restored database shows what was erased (R23)
 * @throws {UnreadableValueError} something of it was altered, or put there from elsewhere
 */
export async function openProfile(store: Store, account: AccountDocument): Promise<Profile> {
  if (!holdsAnything(account)) return impersonal(account);
  let cipher: Cipher;
  try {
    cipher = await store.vault.cipherOf(account._id);
  } catch (error) {
    if (error instanceof KeyMissingError) return { ...impersonal(account), unreadable: true };
    throw error;
  }
  return opened(cipher, account);
}

/** Accounts, opened, for a list: one that cannot be opened is shown without what is personal. */
export async function openProfiles(
  store: Store,
  found: readonly AccountDocument[],
  tell: (error: UnreadableValueError, account: string) => void,
): Promise<Profile[]> {
  const ciphers = await store.vault.ciphersOf(found.filter(holdsAnything).map(({ _id }) => _id));
  return found.map((account): Profile => {
    if (!holdsAnything(account)) return impersonal(account);
    const cipher = ciphers.get(account._id);
    try {
      if (cipher !== undefined) return opened(cipher, account);
    } catch (error) {
      if (!(error instanceof UnreadableValueError)) throw error;
      tell(error, account._id);
    }
    return { ...impersonal(account), unreadable: true };
  });
}

/** A tombstone holds nothing to open, and its key is gone. */
function holdsAnything({ state }: AccountDocument): boolean {
  return state !== 'erased';
}

function opened(cipher: Cipher, account: AccountDocument): Profile {
  return { ...reveal(cipher, accounts, account), lifecycle: openNotes(cipher, account.lifecycle) };
}

function impersonal({ name: _name, email: _email, formerly: _formerly, ...rest }: AccountDocument): Profile {
  return { ...rest, lifecycle: withoutNotes(rest.lifecycle) };
}
