/** Keys as they are shown: without what opens anything, their names opened, and when they were last used. */
import { z } from 'zod';
import { registerKeyUses, scopes, type ApiKeyDocument } from '../access';
import { reveal, type Opened } from '../data';
import { native } from '../database';
import { roles } from '../lifecycle';
import { UnreadableValueError, type Cipher } from '../vault';
import type { Workshop } from './workshop';

const at = z.iso.datetime();

/** A key, without what opens anything. */
export const keyShape = z
  .object({
    id: z.string(),
    name: z.string().optional(),
    role: z.enum(roles),
    account: z.string().optional(),
    scopes: z.array(z.enum(scopes)),
    createdAt: at,
    createdBy: z.string(),
    expiresAt: at.optional(),
    revokedAt: at.optional(),
    lastUsedAt: at.optional().describe('To about a minute; absent where it never was'),
    rotatedFrom: z.string().optional().describe('The key it took over from'),
    rotatedTo: z.string().optional().describe('The key that took over from it'),
  })
  .meta({ id: 'ApiKey' });

/** A key just made. A repeat of the request is answered without `key`. */
export const newKeyShape = keyShape
  .extend({ key: z.string().optional().describe('Shown this once') })
  .meta({ id: 'NewApiKey' });

/** What is shown of keys. */
export interface KeyView {
  /** A key just made, whose name is not encrypted yet. */
  made(document: Opened<ApiKeyDocument>): Readonly<Record<string, unknown>>;
  /** Stored keys. A name that cannot be opened is left out: its key is known by its id. */
  stored(documents: readonly ApiKeyDocument[]): Promise<Readonly<Record<string, unknown>>[]>;
  /** A stored key with its name opened, as far as it opens. */
  opened(document: ApiKeyDocument): Promise<Opened<ApiKeyDocument>>;
}

export function createKeyView({ store: { connection, vault }, log }: Pick<Workshop, 'store' | 'log'>): KeyView {
  const uses = native(registerKeyUses(connection));

  async function openAll(documents: readonly ApiKeyDocument[]): Promise<Opened<ApiKeyDocument>[]> {
    const named = documents.filter(({ name }) => name !== undefined);
    const own = await vault.ciphersOf([...new Set(named.flatMap(({ account = [] }) => account))]);
    const staff = await vault.systemCipher('staff');
    return documents.map((document) =>
      revealed(document.account === undefined ? staff : own.get(document.account), document),
    );
  }

  function revealed(cipher: Cipher | undefined, document: ApiKeyDocument): Opened<ApiKeyDocument> {
    const { name: _name, ...nameless } = document;
    if (cipher === undefined) return nameless;
    try {
      return reveal(cipher, 'apiKeys', document);
    } catch (error) {
      if (!(error instanceof UnreadableValueError)) throw error;
      log.error({ err: error, key: document._id }, 'the name of a key cannot be opened');
      return nameless;
    }
  }

  return {
    made: (document) => shown(document, undefined),
    async stored(documents) {
      const ids = documents.map(({ _id }) => _id);
      const [opened, used] = await Promise.all([openAll(documents), uses.find({ _id: { $in: ids } }).toArray()]);
      const lastUses = new Map(used.map(({ _id, at: last }) => [_id, last]));
      return opened.map((document) => shown(document, lastUses.get(document._id)));
    },
    async opened(document) {
      const { account } = document;
      return revealed(await (account === undefined ? vault.systemCipher('staff') : vault.cipherOf(account)), document);
    },
  };
}

function shown(document: Opened<ApiKeyDocument>, lastUsedAt: Date | undefined) {
  const { _id, name, role, account, scopes: given = [], createdAt, createdBy, rotatedFrom, rotatedTo } = document;
  const { expiresAt, revokedAt } = document;
  const instants = Object.entries({ expiresAt, revokedAt, lastUsedAt }).flatMap(([member, instant]) =>
    instant === undefined ? [] : [[member, instant.toISOString()] as const],
  );
  return {
    id: _id,
    ...(name === undefined ? {} : { name }),
    role,
    ...(account === undefined ? {} : { account }),
    scopes: given,
    createdAt: createdAt.toISOString(),
    createdBy,
    ...Object.fromEntries(instants),
    ...(rotatedFrom === undefined ? {} : { rotatedFrom }),
    ...(rotatedTo === undefined ? {} : { rotatedTo }),
  };
}
