/**
 * R20: the tree, its proofs and its signed checkpoints, by the vectors of transparency.dev's merkle library (those of
 * Certificate Transparency) and of Go's note package, against the RFC's definition spelled out, and with every bit wrong.
 */
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  consistencyPath,
  Frontier,
  inclusionPath,
  leafHash,
  nodeHash,
  verifyConsistency,
  verifyInclusion,
  type Range,
} from '../src/audit/merkle';
import {
  NoteError,
  noteKeyOf,
  openCheckpoint,
  openNote,
  originOf,
  readNoteKey,
  signCheckpoint,
  signNote,
  writeNoteKey,
} from '../src/audit/note';
import { grow, growingTiles, rootAt, rootsOf, tileId, TileMissingError, widthOf } from '../src/audit/tiles';
import { createSigner } from '../src/vault/signer';

const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  (hex) => Buffer.from(hex, 'hex'),
);
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

/** The root as the RFC defines it, without any cleverness. */
function rootOf(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return Buffer.from(roots[0] ?? '', 'hex');
  if (leaves.length === 1) return first;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

const resolved = (leaves: readonly Buffer[], path: readonly Range[]) =>
  path.map(({ start, end }) => rootOf(leaves.slice(start, end)));

const base64 = (text: string) => Buffer.from(text, 'base64');

function leavesOf(count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => leafHash(`leaf ${index}`));
}

/** A flip of one bit of one of these hashes. */
function flipped(hashes: readonly Buffer[], at: number): Buffer[] {
  const copy = hashes.map((hash) => Buffer.from(hash));
  const hash = copy[at % copy.length];
  if (hash !== undefined) hash[at % 32] = (hash[at % 32] ?? 0) ^ (1 << (at % 8));
  return copy;
}

describe('the tree of RFC 9162', () => {
  test('has the roots everybody computes', () => {
    const frontier = new Frontier();
    const found = [frontier.root.toString('hex')];
    for (const input of inputs) {
      frontier.push(leafHash(input));
      found.push(frontier.root.toString('hex'));
    }
    expect(found).toEqual(roots);
  });

  test.each([
    [0, 1, 'bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=', []],
    [
      0,
      8,
      'XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=',
      [
        'lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=',
        'Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=',
        'a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ=',
      ],
    ],
    [
      5,
      8,
      'XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=',
      [
        'vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=',
        'yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=',
        '037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=',
      ],
    ],
    [2, 3, 'rra8/idLcKFPsGel5VeCZNsPqbUa9eC6FZFY8yngbnc=', ['+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU=']],
    [
      1,
      5,
      'Tju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=',
      [
        'bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=',
        'Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=',
        'vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=',
      ],
    ],
  ] as const)('proves that leaf %i is in the tree of %i as others do', (index, size, root, proof) => {
    const leaves = inputs.map((input) => leafHash(input));
    const hashes = proof.map(base64);
    expect(resolved(leaves.slice(0, size), inclusionPath(index, size))).toEqual(hashes);
    expect(verifyInclusion(leaves[index] ?? Buffer.alloc(0), index, size, hashes, base64(root))).toBe(true);
  });

  test.each([
    [1, 1, []],
    [
      1,
      8,
      [
        'lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=',
        'Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=',
        'a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ=',
      ],
    ],
    [
      6,
      8,
      [
        'DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=',
        'yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=',
        '037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=',
      ],
    ],
    [2, 5, ['Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=', 'vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=']],
    [
      6,
      7,
      [
        'DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=',
        'sIaT7C5yFZcTBkHoIR5+7cy0wmQTlj7ubB4u0W/7Gl8=',
        '037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=',
      ],
    ],
  ] as const)('proves that the tree of %i goes on as that of %i, as others do', (from, to, proof) => {
    const leaves = inputs.map((input) => leafHash(input));
    const hashes = proof.map(base64);
    if (from < to) expect(resolved(leaves.slice(0, to), consistencyPath(from, to))).toEqual(hashes);
    const [first, second] = [from, to].map((size) => Buffer.from(roots[size] ?? '', 'hex'));
    expect(verifyConsistency(from, to, hashes, first ?? Buffer.alloc(0), second ?? Buffer.alloc(0))).toBe(true);
  });

  const sized = fc
    .tuple(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat())
    .map(([size, of, at]) => [size, of % size, at] as const);

  test('R20: any inclusion proof holds, and none with a bit, a hash, an index or a size that is another', () => {
    fc.assert(
      fc.property(sized, ([size, index, at]) => {
        const leaves = leavesOf(size);
        const root = rootOf(leaves);
        const leaf = leaves[index] ?? root;
        const hashes = resolved(leaves, inclusionPath(index, size));
        expect(verifyInclusion(leaf, index, size, hashes, root)).toBe(true);
        const [wrongLeaf = leaf] = flipped([leaf], at);
        const [wrongRoot = root] = flipped([root], at);
        expect(verifyInclusion(wrongLeaf, index, size, hashes, root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, hashes, wrongRoot)).toBe(false);
        expect(verifyInclusion(leaf, index, size, [...hashes, root], root)).toBe(false);
        expect(verifyInclusion(leaf, index + 1, size, hashes, root)).toBe(false);
        expect(verifyInclusion(leaf, -1, size, hashes, root)).toBe(false);
        if (hashes.length === 0) return;
        expect(verifyInclusion(leaf, index, size, flipped(hashes, at), root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, hashes.slice(1), root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, hashes.slice(0, -1), root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, [Buffer.alloc(31), ...hashes.slice(1)], root)).toBe(false);
      }),
    );
  });

  test('R20: any consistency proof holds, and none over a history that was rewritten', () => {
    fc.assert(
      fc.property(sized, ([to, of, at]) => {
        const from = of + 1;
        const leaves = leavesOf(to);
        const [first, second] = [rootOf(leaves.slice(0, from)), rootOf(leaves)];
        const hashes = from === to ? [] : resolved(leaves, consistencyPath(from, to));
        expect(verifyConsistency(from, to, hashes, first, second)).toBe(true);
        expect(verifyConsistency(from, to, [...hashes, first], first, second)).toBe(false);
        const rewritten = leaves.map((leaf, index) => (index === at % from ? leafHash('another') : leaf));
        const forged = from === to ? [] : resolved(rewritten, consistencyPath(from, to));
        expect(verifyConsistency(from, to, forged, first, rootOf(rewritten))).toBe(false);
        if (hashes.length === 0) return;
        expect(verifyConsistency(from, to, flipped(hashes, at), first, second)).toBe(false);
        expect(verifyConsistency(from, to, hashes.slice(0, -1), first, second)).toBe(false);
      }),
    );
  });
});

describe('tiles', () => {
  /** The tiles of a log, grown in steps of these sizes. */
  function grown(steps: readonly number[]) {
    const tiles = new Map<string, Buffer>();
    const leaves: Buffer[] = [];
    for (const step of steps) {
      const added = Array.from({ length: step }, (_, index) => leafHash(`leaf ${leaves.length + index}`));
      for (const [id, { hashes }] of grow(leaves.length, tiles, added)) tiles.set(id, hashes);
      leaves.push(...added);
    }
    return { tiles, leaves, read: (ids: readonly string[]) => Promise.resolve(pick(tiles, ids)) };
  }

  const pick = (tiles: ReadonlyMap<string, Buffer>, ids: readonly string[]) =>
    new Map([...tiles].filter(([id]) => ids.includes(id)));

  test('give every root and proof the whole tree gives, however they grew', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 5 }),
        fc.nat(),
        async (steps, at) => {
          const { leaves, read } = grown([1, ...steps]);
          const size = (at % leaves.length) + 1;
          const index = (at * 7) % size;
          const some = leaves.slice(0, size);
          const root = rootOf(some);
          expect(await rootAt(size, read)).toEqual(root);
          const proof = await rootsOf(inclusionPath(index, size), read);
          expect(verifyInclusion(some[index] ?? root, index, size, proof, root)).toBe(true);
          const path = await rootsOf(consistencyPath(size, leaves.length), read);
          expect(verifyConsistency(size, leaves.length, path, root, rootOf(leaves))).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('of higher levels hold the roots of full ones below, and none holds more than the tree says', async () => {
    const steps = [250, 6, 65_280, 300];
    const { tiles, leaves, read } = grown(steps);
    expect([...tiles.keys()].filter((id) => !id.startsWith('0/'))).toEqual(['1/0', '2/0', '1/1']);
    for (const [id, hashes] of tiles) {
      const [level = 0, index = 0] = id.split('/').map(Number);
      expect(hashes.length).toBe(widthOf({ level, index }, leaves.length) * 32);
    }
    expect(growingTiles(leaves.length).map(tileId)).toEqual(['0/257', '1/1', '2/0']);
    expect(await rootAt(leaves.length, read)).toEqual(rootOf(leaves));
  });

  test('that are missing or too short are named', async () => {
    const { tiles, read } = grown([700]);
    tiles.set('0/1', (tiles.get('0/1') ?? Buffer.alloc(0)).subarray(32));
    await expect(rootsOf(inclusionPath(300, 700), read)).rejects.toThrow(new TileMissingError('0/1'));
    tiles.delete('0/2');
    await expect(rootAt(700, read)).rejects.toThrow('the tile 0/2');
    expect(() => grow(700, tiles, [leafHash('x')])).toThrow('the tile 0/2');
  });
});

describe('signed notes', () => {
  const publicKey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
  const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
  const note = `${text}\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;

  const seed = randomBytes(32);
  const { current: signer } = createSigner('eu-central-1', new Map([[1, seed]]), 1);
  const { current: stranger } = createSigner('eu-central-1', new Map([[1, randomBytes(32)]]), 1);
  const origin = originOf('eu-central-1');
  const key = noteKeyOf(origin, signer.publicKey);
  const at = new Date('2026-11-22T20:00:00.123Z');
  const checkpoint = { origin, size: 20_852_163, root: leafHash('root'), at };

  test('of others are read, and their keys', () => {
    const peter = readNoteKey(publicKey);
    expect(peter.name).toBe('PeterNeumann');
    expect(openNote(note, [peter])).toBe(text);
    expect(openNote(note.replace(/\n$/, '\n\u2014 Enoch af4NOzF9\n'), [key, peter])).toBe(text);
  });

  test('are not taken for what they are not', () => {
    const peter = readNoteKey(publicKey);
    for (const wrong of [
      note.replace('answer', 'answeR'),
      note.replace('x08go/Z', 'x08go/Y'),
      note.replace('\u2014', '-'),
      note.replace(text, ''),
      note.slice(0, -1),
      text,
      '',
      `\n${note.slice(text.length)}`,
      note.replace('think', 'th\u0007ink'),
    ])
      expect(() => openNote(wrong, [peter])).toThrow(NoteError);
    expect(() => openNote(note, [])).toThrow('no key that is known');
    expect(() => openNote(note, [key])).toThrow('no key that is known');
    for (const wrong of [publicKey.replace('c74f', 'c74e'), publicKey.replace('ARpc', 'AhpC'), 'x', 'a+b+c'])
      expect(() => readNoteKey(wrong)).toThrow(NoteError);
    expect(() => signNote('no newline', origin, signer)).toThrow(NoteError);
    expect(() => signNote('text\n', 'a name', signer)).toThrow(NoteError);
  });

  test('keys are written as they are read', () => {
    const written = writeNoteKey(origin, signer.publicKey);
    expect(written).toMatch(/^ablauf\/eu-central-1\/audit\+[0-9a-f]{8}\+AQ?[A-Za-z0-9+/]+=*$/);
    expect(readNoteKey(written).id).toEqual(key.id);
  });

  test('R20: a checkpoint says origin, size, root and time, and is signed', () => {
    const signed = signCheckpoint(checkpoint, signer);
    expect(signed.split('\n').slice(0, 5)).toEqual([
      'ablauf/eu-central-1/audit',
      '20852163',
      leafHash('root').toString('base64'),
      'time 2026-11-22T20:00:00.123Z',
      '',
    ]);
    expect(signed.split('\n')[5]).toMatch(/^\u2014 ablauf\/eu-central-1\/audit [A-Za-z0-9+/]{90,}=*$/);
    expect(openCheckpoint(signed, origin, [key])).toEqual(checkpoint);
  });

  test('R20, R25: a checkpoint of another log, with any other bit, or of another key is refused', () => {
    const signed = signCheckpoint(checkpoint, signer);
    expect(() => openCheckpoint(signed, originOf('us-east-1'), [key])).toThrow(NoteError);
    expect(() => openCheckpoint(signCheckpoint(checkpoint, stranger), origin, [key])).toThrow(NoteError);
    const bytes = Buffer.from(signed);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (place, bit) => {
        const altered = Buffer.from(bytes);
        altered[place] = (altered[place] ?? 0) ^ (1 << bit);
        try {
          // The last character of base64 may carry bits that say nothing: then it still says the very same.
          expect(openCheckpoint(altered.toString(), origin, [key])).toEqual(checkpoint);
          expect(place).toBeGreaterThan(signed.lastIndexOf(' '));
        } catch (error) {
          expect(error).toBeInstanceOf(NoteError);
        }
      }),
    );
  });

  test.each([
    ['01', undefined, undefined],
    ['-1', undefined, undefined],
    ['1e3', undefined, undefined],
    [undefined, 'AAAA', undefined],
    [undefined, undefined, 'time soon'],
    [undefined, undefined, 'other line'],
  ])('a signed text is no checkpoint where it says %s, %s, %s', (size, root, extension) => {
    const lines = [
      origin,
      size ?? '7',
      root ?? leafHash('r').toString('base64'),
      extension ?? `time ${at.toISOString()}`,
    ];
    const signed = signNote(`${lines.join('\n')}\n`, origin, signer);
    expect(() => openCheckpoint(signed, origin, [key])).toThrow(NoteError);
  });
});
