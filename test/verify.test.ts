/** R22: whoever has a certificate, the public key and `verify.mjs` needs nothing and nobody else to check an erasure. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { addAddendum, type Store } from '../src/data';
import { signJws, type PublicKey } from '../src/vault';
import { startApi, type Api } from './helpers/api';
import { handedIn, reasonsFor, run, saysOf, verify, type Handed, type Jws } from './helpers/certificates';
import { event } from './helpers/events';
import { eventually } from './helpers/eventually';
import { dropTestStore, openTestStore } from './helpers/system';

const root = join(__dirname, '..');

let api: Api;
let keys: { keys: PublicKey[] };
/** Of a real erasure, with three addenda. */
let real: Handed;
/** Of another one, with as many. */
let other: Handed;
/** Another deployment's. */
let stranger: Store;

beforeAll(async () => {
  api = await startApi({ settings: { expiryPeriod: 'PT1S', notice: 'PT0S', minPeriod: 'PT1S' } });
  stranger = await openTestStore();
  keys = (await api.ask('GET', '/v1/keys/public', { key: null })).body as unknown as typeof keys;
  [real, other] = await Promise.all([erase(), erase()]);
}, 180_000);
afterAll(async () => {
  await api.stop();
  await dropTestStore(stranger);
});

/** Erases an account with records, and has three things added to its certificate. */
async function erase(): Promise<Handed> {
  const { system } = api;
  const id = await system.createAccount();
  const body = { ...event(id, new Date()), metadata: { user_api_key_org_id: id } };
  const taken = await api.ask('POST', '/v1/ingest/litellm', { body });
  expect(taken.body).toMatchObject({ accepted: 1 });
  const hold = { reason: 'a lawsuit' };
  await system.send(id, 'close');
  await system.send(id, 'placeHold', hold);
  const [placed] = (await system.account(id)).lifecycle.holds;
  await system.send(id, 'releaseHold', { holdId: placed?.id });
  const [certificate = ''] = await eventually('the account is erased', async () => {
    const { body: shown } = await api.ask('GET', `/v1/accounts/${id}`);
    return shown['state'] === 'erased' ? (shown['certificateIds'] as string[]) : undefined;
  });
  for (const processor of ['one', 'two', 'three']) {
    const addendum = { at: new Date(), kind: 'processor-receipt', content: { processor, status: 'completed' } };
    await system.store.transaction((session) => addAddendum(system.store, session, certificate, addendum));
  }
  return eventually('the certificate is complete', async () => {
    const answer = await api.ask('GET', `/v1/certificates/${certificate}`, { key: null });
    return answer.status === 200 ? handedIn(answer) : undefined;
  });
}

/** The certificate with something changed. */
function with_(change: (copy: Handed) => void, of: Handed = real): Handed {
  const copy = structuredClone(of);
  change(copy);
  return copy;
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function flattened(jws: string): Jws {
  const [header = '', payload = '', signature = ''] = jws.split('.');
  return { protected: header, payload, signature };
}

describe('the certificate of a real erasure', () => {
  test('R22: holds, by verify.mjs and two files alone, where no network can be reached', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ablauf-auditor-'));
    try {
      await writeFile(join(folder, 'verify.mjs'), await readFile(join(root, 'tools', 'verify.mjs')));
      await writeFile(join(folder, 'CERT.json'), JSON.stringify(real));
      await writeFile(join(folder, 'KEYS.json'), JSON.stringify(keys));
      // A namespace of its own has no way out, not even to this machine; where none can be made, there is still none needed.
      const alone = await run('unshare', ['-rn', 'true']).then(
        ({ code }) => code === 0,
        () => false,
      );
      const command = [
        'node',
        join(folder, 'verify.mjs'),
        join(folder, 'CERT.json'),
        '--key',
        join(folder, 'KEYS.json'),
      ];
      const [first = '', ...rest] = alone ? ['unshare', '-rn', ...command] : command;
      const said = await run(first, rest);
      expect(said).toMatchObject({ code: 0, err: '' });
      const content = saysOf(real) as { id: string; subject: string; planHash: string };
      expect(said.out).toContain(`Certificate ${content.id} holds.`);
      expect(said.out).toContain(`named by its pseudonym alone: ${content.subject}`);
      expect(said.out).toContain(`by the plan ${content.planHash}`);
      expect(said.out).toContain('prompts: 1 found, 1 erased (R6), 0 left');
      expect(said.out).toMatch(/Entry \d+ of \d+ in the audit log, under a signed checkpoint\./);
      expect(said.out).toMatch(/Legal holds honoured:\n {2}- 20\S+Z to 20\S+Z\n/);
      expect(said.out).toMatch(/Addenda:\n( {2}- 20\S+Z processor-receipt, by (one|two|three), status completed\n){3}/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('R22: needs but one key of the set', async () => {
    expect(await verify(real, keys.keys[0])).toMatchObject({ code: 0 });
  });

  test('R22: says what held it up and under which policy it was erased', () => {
    const content = saysOf(real);
    expect(content).toMatchObject({ policy: { expiryPeriod: 'PT1S' }, delays: [], retained: [], processors: [] });
    expect(content['holds']).toEqual([{ placedAt: expect.any(String), releasedAt: expect.any(String) }]);
    expect(JSON.stringify(content)).not.toContain('a lawsuit');
  });

  test('`ablauf verify` judges the same by the same code', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ablauf-auditor-'));
    try {
      const [certificate, key] = [join(folder, 'CERT.json'), join(folder, 'KEYS.json')];
      await writeFile(certificate, JSON.stringify(real));
      await writeFile(key, JSON.stringify(keys));
      const ablauf = (...options: string[]) =>
        run(process.execPath, ['--import', 'tsx', join(root, 'src', 'cli.ts'), ...options]);
      const said = await ablauf('verify', certificate, '--key', key);
      expect(said).toEqual(await verify(real, keys));
      const { out } = await ablauf('verify', certificate, '--key', key, '--json');
      expect(JSON.parse(out)).toMatchObject({ verified: { certificate: saysOf(real), addenda: [{}, {}, {}] } });
      await writeFile(certificate, JSON.stringify(with_((copy) => copy.addenda.pop())));
      const refused = await ablauf('verify', certificate, '--key', key, '--json');
      expect([refused.code, JSON.parse(refused.out)]).toMatchObject([1, { reason: 'addenda-missing' }]);
      expect((await ablauf('verify', certificate)).code).toBe(2);
      expect((await ablauf('verify', join(folder, 'none'), '--key', key)).code).toBe(2);
      expect((await ablauf('--help')).code).toBe(0);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('whatever is changed is refused, and named', () => {
  const header = (name: string, value: unknown) => (copy: Handed) => {
    const said = saysOf({ payload: copy.protected });
    copy.protected = encoded({ ...said, [name]: value });
  };
  const says = (name: string, value: unknown) => (copy: Jws) => {
    copy.payload = encoded({ ...saysOf(copy), [name]: value });
  };
  const swapped = (copy: Handed) => {
    const [first, second, ...rest] = copy.addenda;
    if (first !== undefined && second !== undefined) copy.addenda = [second, first, ...rest];
  };
  const none = { alg: 'none', typ: 'ablauf-certificate', ver: 1 };

  test.each<[what: string, reason: string, change: (copy: Handed) => void]>([
    ['what it says', 'signature', says('planHash', 'another')],
    ['when it was erased', 'signature', says('account', { erasedAt: '2020-01-01T00:00:00.000Z' })],
    ['the key that is named', 'unknown-key', header('kid', 'another')],
    ['no key named', 'unknown-key', header('kid', undefined)],
    ['the algorithm', 'algorithm', header('alg', 'HS256')],
    [
      'a signature by algorithm none',
      'algorithm',
      (copy) => Object.assign(copy, { protected: encoded(none), signature: '' }),
    ],
    ['something critical nobody knows', 'critical', header('crit', ['exp'])],
    ['nothing critical, but said so', 'critical', header('crit', [])],
    ['the version of its form', 'version', header('ver', 2)],
    ['what it is', 'type', header('typ', 'ablauf-statement')],
    ['a word in its header', 'signature', header('note', 'a word')],
    ['no signature', 'signature', (copy) => Object.assign(copy, { signature: '' })],
    ['no content', 'malformed', (copy) => Reflect.deleteProperty(copy, 'payload')],
    ['content that is no JSON', 'signature', (copy) => Object.assign(copy, { payload: 'eHh4' })],
    ['something nobody signed', 'unsigned-member', (copy) => Object.assign(copy, { note: 'all is well' })],
    ['an unprotected header', 'unsigned-member', (copy) => Object.assign(copy, { header: { alg: 'EdDSA' } })],
    ['an addendum in place of it', 'type', (copy) => Object.assign(copy, copy.addenda[0])],
    ['the statement in place of it', 'type', (copy) => Object.assign(copy, copy.statement)],
    ['what an addendum says', 'signature', (copy) => copy.addenda.slice(1).forEach(says('kind', 'another'))],
    ['the first addendum left out', 'addendum-order', (copy) => copy.addenda.shift()],
    ['one in the middle left out', 'addendum-order', (copy) => copy.addenda.splice(1, 1)],
    ['the last left out', 'addenda-missing', (copy) => copy.addenda.pop()],
    ['all left out', 'addenda-missing', (copy) => copy.addenda.splice(0)],
    ['no list of addenda', 'malformed', (copy) => Reflect.deleteProperty(copy, 'addenda')],
    ['two swapped', 'addendum-order', swapped],
    ['one twice', 'addendum-order', (copy) => copy.addenda.splice(1, 0, ...copy.addenda.slice(0, 1))],
    [
      'one moved here from another',
      'addendum-of-another',
      (copy) => copy.addenda.splice(1, 1, ...other.addenda.slice(1, 2)),
    ],
    ['one added from another', 'addendum-of-another', (copy) => copy.addenda.push(...other.addenda.slice(0, 1))],
    ['the statement among the addenda', 'type', (copy) => copy.addenda.push(copy.statement)],
    [
      'something unsigned in one',
      'unsigned-member',
      (copy) => copy.addenda.forEach((one) => Object.assign(one, { at: 1 })),
    ],
    ['nothing in place of one', 'malformed', (copy) => copy.addenda.splice(0, 1, null as never)],
    ['no statement', 'malformed', (copy) => Reflect.deleteProperty(copy, 'statement')],
    ['the statement of another', 'statement-of-another', (copy) => Object.assign(copy, { statement: other.statement })],
    ['what the statement says', 'signature', (copy) => says('addenda', 2)(copy.statement)],
  ])('R22: %s', async (_, reason, change) => {
    const said = await verify(with_(change), keys);
    expect(said).toMatchObject({ code: 1, out: '' });
    expect(said.err).toMatch(new RegExp(`^REFUSED \\(${reason}\\): `));
  });

  test('R22: the addenda of one certificate under another', async () => {
    const moved = { ...real, addenda: other.addenda, statement: other.statement };
    expect(await reasonsFor([JSON.stringify(moved)], keys)).toEqual(['addendum-of-another']);
  });

  test('R22: an addendum that is forged into the chain, by whoever could sign it', async () => {
    const signer = await api.system.store.vault.signer();
    const [first] = real.addenda;
    const second = saysOf(real.addenda[1] ?? real);
    const forged = flattened(signJws(signer, 'ablauf-addendum', 1, { ...second, previousSha256: 'another' }));
    const rest = real.addenda.slice(2);
    const changed = { ...real, addenda: [first, forged, ...rest] };
    // What follows the forged one still names the one that was there.
    const consistent = { ...real, addenda: [first, flattened(signJws(signer, 'ablauf-addendum', 1, second)), ...rest] };
    const rewritten = { ...second, content: { processor: 'somebody' } };
    const replaced = {
      ...real,
      addenda: [first, flattened(signJws(signer, 'ablauf-addendum', 1, rewritten)), ...rest],
    };
    const documents = [changed, consistent, replaced].map((document) => JSON.stringify(document));
    expect(await reasonsFor(documents, keys)).toEqual(['addendum-chain', 'ok', 'addendum-chain']);
  });

  test('R22: by a key of somebody else, and one of somebody else under the name of ours', async () => {
    const strange = { keys: await stranger.vault.publicKeys() };
    expect(await verify(real, strange)).toMatchObject({ code: 1, err: expect.stringContaining('(unknown-key)') });
    // A key is known by its thumbprint, whatever it is called in the file.
    const [ours] = keys.keys;
    const disguised = { keys: strange.keys.map((key) => ({ ...key, kid: ours?.kid })) };
    expect(await verify(real, disguised)).toMatchObject({ code: 1, err: expect.stringContaining('(unknown-key)') });
    const renamed = { keys: keys.keys.map((key) => ({ ...key, kid: 'another' })) };
    expect(await verify(real, renamed)).toMatchObject({ code: 0 });
    const forger = await stranger.vault.signer();
    const impostor = { ...forger, publicKey: (await api.system.store.vault.signer()).publicKey };
    const forged = flattened(signJws(impostor, 'ablauf-certificate', 1, saysOf(real)));
    expect(await reasonsFor([JSON.stringify({ ...real, ...forged })], keys)).toEqual(['signature']);
    // And the other way round: a certificate that somebody else made.
    const jws = signJws(forger, 'ablauf-certificate', 1, saysOf(real));
    expect(await reasonsFor([JSON.stringify({ ...real, ...flattened(jws) })], keys)).toEqual(['unknown-key']);
  });

  test('R22: every single bit of header, content and signature', async () => {
    const documents: string[] = [];
    for (const part of ['protected', 'payload', 'signature'] as const) {
      const text = real[part];
      // Of the content, every seventh character: it is long, and each is signed alike.
      for (let at = 0; at < text.length; at += part === 'payload' ? 7 : 1) {
        for (let bit = 0; bit < 8; bit += 1) {
          const letter = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit));
          documents.push(JSON.stringify({ ...real, [part]: `${text.slice(0, at)}${letter}${text.slice(at + 1)}` }));
        }
      }
    }
    const reasons = await reasonsFor(documents, keys);
    expect(reasons).toHaveLength(documents.length);
    expect(documents.filter((_, index) => reasons[index] === 'ok')).toEqual([]);
    expect(new Set(reasons)).not.toContain('cannot be checked');
  }, 120_000);

  test('R22: every single bit of an addendum and of the statement', async () => {
    const documents: string[] = [];
    const flip = (jws: Jws, put: (changed: Jws) => Handed) => {
      for (const part of ['protected', 'payload', 'signature'] as const) {
        const text = jws[part];
        for (let at = 0; at < text.length; at += 3) {
          const letter = String.fromCharCode(text.charCodeAt(at) ^ 1);
          documents.push(JSON.stringify(put({ ...jws, [part]: `${text.slice(0, at)}${letter}${text.slice(at + 1)}` })));
        }
      }
    };
    const [, second] = real.addenda;
    if (second !== undefined) flip(second, (changed) => with_((copy) => copy.addenda.splice(1, 1, changed)));
    flip(real.statement, (statement) => ({ ...real, statement }));
    expect(await reasonsFor(documents, keys)).not.toContain('ok');
  }, 120_000);

  test('R22: every spelling of the same bytes but one', async () => {
    // 64 bytes leave four bits of the last character without a meaning.
    const last = real.signature.slice(-1);
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const same = Array.from(letters).filter(
      (letter) => letter !== last && letters.indexOf(letter) >> 4 === letters.indexOf(last) >> 4,
    );
    expect(same).toHaveLength(15);
    const spelled = [
      ...same.map((letter) => real.signature.slice(0, -1) + letter),
      `${real.signature}=`,
      `${real.signature}==`,
      ` ${real.signature}`,
    ];
    const documents = spelled.map((signature) => JSON.stringify({ ...real, signature }));
    expect(new Set(await reasonsFor(documents, keys))).toEqual(new Set(['malformed']));
  });

  test('what is no certificate at all is refused; what cannot be read is not judged', async () => {
    for (const text of ['', '{', '[]', 'null', '"text"', '{}', JSON.stringify(real).slice(0, -20)]) {
      expect(await verify(text, keys)).toMatchObject({ code: 1, err: expect.stringMatching(/^REFUSED \(malformed\)/) });
    }
    for (const broken of [
      '',
      '{}',
      'null',
      '[]',
      '{"keys":[]}',
      '{"keys":[{"kty":"RSA"}]}',
      '{"kty":"OKP","crv":"Ed25519"}',
    ]) {
      expect(await verify(real, broken)).toMatchObject({ code: 2, out: '' });
    }
    const program = join(root, 'tools', 'verify.mjs');
    expect(await run(process.execPath, [program])).toMatchObject({ code: 2, err: expect.stringContaining('usage') });
    expect(await run(process.execPath, [program, '/none', '--key', '/none'])).toMatchObject({ code: 2 });
  });

  test('nothing in a forged certificate reaches the terminal as a command', async () => {
    const said = await verify(with_(header('alg', '\u001b[2Jnone\u0007')), keys);
    // eslint-disable-next-line no-control-regex -- that is what is looked for
    expect(said.err.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });
});

describe('the place in the audit log', () => {
  const sha256 = (...parts: readonly (string | Buffer | number[])[]) =>
    createHash('sha256')
      .update(Buffer.concat(parts.map((part) => Buffer.from(part as string))))
      .digest();
  const leafHash = (text: string) => sha256([0], text);
  const nodeHash = (left: Buffer, right: Buffer) => sha256([1], left, right);

  /** The root over some leaves, and the path from one of them (RFC 9162, 2.1). */
  function tree(leaves: readonly Buffer[], index: number): { root: Buffer; path: Buffer[] } {
    const [only] = leaves;
    if (leaves.length === 1 && only !== undefined) return { root: only, path: [] };
    let split = 1;
    while (split * 2 < leaves.length) split *= 2;
    const left = tree(leaves.slice(0, split), Math.min(index, split - 1));
    const right = tree(leaves.slice(split), Math.max(index - split, 0));
    const path = index < split ? [...left.path, right.root] : [...right.path, left.root];
    return { root: nodeHash(left.root, right.root), path };
  }

  interface Log {
    leaf: string;
    index: number;
    size: number;
    hashes: string[];
    checkpoint: string;
  }

  /** A certificate with a proof from a log of that size, with something changed before it is signed. */
  async function certified(
    size: number,
    index: number,
    change: (log: Log) => void = () => undefined,
    { store = api.system.store, of }: { store?: Store; of?: string } = {},
  ) {
    const content = saysOf(real) as { id: string; subject: string; region: string };
    const { id, subject, region } = content;
    const leaf = JSON.stringify({ action: 'account.erased', details: { certificate: id }, region, subject });
    const leaves = Array.from({ length: size }, (_, at) => leafHash(at === index ? leaf : `entry ${at}`));
    const { root: hash, path } = tree(leaves, index);
    const signer = await store.vault.signer();
    const origin = `ablauf/${of ?? region}/audit`;
    const text = `${origin}\n${size}\n${hash.toString('base64')}\ntime 2026-11-22T12:00:00.000Z\n`;
    const keyId = sha256(`${origin}\n`, [1], Buffer.from(signer.publicKey.x, 'base64url')).subarray(0, 4);
    const signature = Buffer.concat([keyId, signer.sign(Buffer.from(text))]).toString('base64');
    const witness = `— witness.example ${Buffer.alloc(68, 7).toString('base64')}\n`;
    const checkpoint = `${text}\n${witness}— ${origin} ${signature}\n`;
    const log = { leaf, index, size, hashes: path.map((one) => one.toString('base64')), checkpoint };
    change(log);
    const ours = await api.system.store.vault.signer();
    const jws = signJws(ours, 'ablauf-certificate', 1, { ...content, log });
    const sha = createHash('sha256').update(jws).digest('base64url');
    const counted = { certificate: id, certificateSha256: sha, addenda: 0, lastSha256: sha };
    const statement = { ...counted, at: new Date(), late: { refused: 0, lastAt: null } };
    return JSON.stringify({
      ...flattened(jws),
      addenda: [],
      statement: flattened(signJws(ours, 'ablauf-statement', 1, statement)),
    });
  }

  test('R20, R22: holds for every entry of logs of every size', async () => {
    const documents: string[] = [];
    for (const size of [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 31, 33]) {
      for (let index = 0; index < size; index += 1) documents.push(await certified(size, index));
    }
    expect(new Set(await reasonsFor(documents, keys))).toEqual(new Set(['ok']));
  });

  test.each<[what: string, reason: string, change: (log: Log) => void]>([
    ['the position', 'inclusion', (log) => (log.index += 1)],
    ['a position before the first', 'inclusion', (log) => (log.index = -1)],
    ['a position that is none', 'inclusion', (log) => (log.index = 0.5)],
    ['a position behind the last', 'inclusion', (log) => (log.index = 13)],
    ['the size of the proof', 'inclusion', (log) => (log.size = 14)],
    ['a hash left out', 'inclusion', (log) => log.hashes.pop()],
    ['a hash too many', 'inclusion', (log) => log.hashes.push(log.hashes[0] ?? '')],
    ['hashes swapped', 'inclusion', (log) => log.hashes.reverse()],
    ['a hash that is none', 'malformed', (log) => log.hashes.splice(0, 1, '*')],
    [
      'the entry, in a word',
      'inclusion',
      (log) => (log.leaf = log.leaf.replace('}}', '},"a":1}').replace('{"certificate"', '{"b":1,"certificate"')),
    ],
    ['the entry of another erasure', 'log-entry', (log) => (log.leaf = log.leaf.replace(/cert_./, 'cert_!'))],
    ['an entry that is no JSON', 'malformed', (log) => (log.leaf = 'entry')],
    ['another action', 'log-entry', (log) => (log.leaf = log.leaf.replace('account.erased', 'account.viewed'))],
    [
      'the root',
      'checkpoint-signature',
      (log) =>
        (log.checkpoint = log.checkpoint.replace(/\n(.)(.{43})\n/, '\nA$2\n').replace(/\nA(A.{42})\n/, '\nB$1\n')),
    ],
    [
      'the size of the checkpoint',
      'checkpoint-signature',
      (log) => (log.checkpoint = log.checkpoint.replace('\n13\n', '\n14\n')),
    ],
    [
      'no signature',
      'checkpoint',
      (log) => (log.checkpoint = log.checkpoint.slice(0, log.checkpoint.indexOf('\n\n') + 2)),
    ],
    [
      'a witness alone',
      'checkpoint-signature',
      (log) => (log.checkpoint = log.checkpoint.replace(/— ablauf.*\n$/, '')),
    ],
    ['no note at all', 'checkpoint', (log) => (log.checkpoint = 'a note')],
  ])('R20, R22: refuses %s', async (_, reason, change) => {
    expect(await reasonsFor([await certified(13, 5, change)], keys)).toEqual([reason]);
  });

  test('R20, R22, R25: refuses the log of another region', async () => {
    expect(await reasonsFor([await certified(13, 5, undefined, { of: 'us-east-1' })], keys)).toEqual(['log-origin']);
  });

  test('R20, R22: refuses a checkpoint that somebody else has signed', async () => {
    expect(await reasonsFor([await certified(13, 5, undefined, { store: stranger })], keys)).toEqual([
      'checkpoint-signature',
    ]);
  });
});

test('R22: verify.mjs is one file of less than 200 lines that takes nothing but the file system', async () => {
  const text = await readFile(join(root, 'tools', 'verify.mjs'), 'utf8');
  expect(text.split('\n').length).toBeLessThan(200);
  const taken = [...text.matchAll(/(?:import|from|require)\s*\(?\s*'([^']+)'/g)].map(([, name]) => name);
  expect(new Set(taken)).toEqual(new Set(['node:fs', 'node:url']));
  expect(text).not.toMatch(/fetch|XMLHttpRequest|WebSocket/);
});
