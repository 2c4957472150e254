/** Encrypting and opening fields, against the bare cipher and against `jose`. */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { CompactEncrypt } from 'jose';
import { summaryOf, type Figure } from './figures';
import { byTurns, type Benchmark } from './harness';
import { dropStore, freshStore } from './stores';

const size = 600;
/** Short turns, and many of them: other work on the machine then meets both sides alike. */
const many = 5000;
const turns = 25;

const key = createSecretKey(randomBytes(32));
const value = randomBytes(size / 2).toString('hex');
const plain = Buffer.from(value);
/** Field, collection and document are authenticated by us: the bare cipher is given as much. */
const place = { collection: 'prompts', field: 'content', id: 'rec_0123456789abcdef01234567' };
const authenticated = Buffer.from(`eu-central-1/account/${'p'.repeat(43)}/1/${Object.values(place).join('/')}`);

export const vault: Benchmark = {
  name: 'vault',
  async run(ground, say) {
    const store = await freshStore(ground, 'vault');
    try {
      const cipher = await store.vault.makeKey('acct-vault');
      const sealing = () => rateOf(() => cipher.seal(value, place));
      say('sealing');
      const sealed = await byTurns(sealing, () => rateOf(sealBare), { turns });
      say('sealing, as JOSE');
      const tokens = await byTurns(sealing, () => rateOfTokens(), { turns });
      say('opening');
      const [ours, bare] = [cipher.seal(value, place), sealBare()];
      const opened = await byTurns(
        () => rateOf(() => cipher.open(ours, place)),
        () => rateOf(() => openBare(bare)),
        { turns },
      );
      return [
        figureOf('Encrypting a field, rate to bare AES-256-GCM', sealed, 0.9),
        figureOf("Encrypting a field, rate to `jose`'s `CompactEncrypt`", tokens, 3),
        figureOf('Opening a field, rate to bare AES-256-GCM', opened, 0.9),
      ];
    } finally {
      await dropStore(store);
    }
  },
};

type Pairs = readonly { readonly ours: number; readonly theirs: number }[];

function figureOf(name: string, pairs: Pairs, atLeast: number): Figure {
  const rate = summaryOf(pairs.map(({ ours }) => ours)).median;
  return {
    name,
    values: pairs.map(({ ours, theirs }) => ours / theirs),
    target: { atLeast },
    remark: `${rate.toFixed(0)} a second`,
  };
}

function sealBare(): Buffer {
  const nonce = randomBytes(12);
  const encryption = createCipheriv('aes-256-gcm', key, nonce);
  encryption.setAAD(authenticated);
  const sealed = encryption.update(value, 'utf8');
  return Buffer.concat([nonce, sealed, encryption.final(), encryption.getAuthTag()]);
}

function openBare(sealed: Buffer): string {
  const decryption = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12), { authTagLength: 16 });
  decryption.setAAD(authenticated);
  decryption.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decryption.update(sealed.subarray(12, -16)), decryption.final()]).toString();
}

/** How many a second, each after the other. */
function rateOf(work: () => unknown): Promise<number> {
  const begun = performance.now();
  for (let done = 0; done < many; done += 1) work();
  return Promise.resolve((many * 1000) / (performance.now() - begun));
}

/** The same of tokens, as many at once as `jose` likes: it does not encrypt synchronously. */
async function rateOfTokens(): Promise<number> {
  const begun = performance.now();
  for (let done = 0; done < many; done += 100) {
    await Promise.all(
      Array.from({ length: 100 }, () =>
        new CompactEncrypt(plain).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' }).encrypt(key),
      ),
    );
  }
  return (many * 1000) / (performance.now() - begun);
}
