/**
 * The tree cut into tiles, as in c2sp.org/tlog-tiles: a tile of level 0 holds the hashes of 256 leaves, one of level 1 the
 * roots of 256 tiles of level 0, and so on. Only the last of each level is not full. Whatever root or proof is asked for is
 * computed from a few of them.
 */
import { hashLength, perfectParts, perfectRoot, rootOver, type Range } from './merkle';

/** Hashes in a full tile. */
export const tileWidth = 256;
/** Levels of the tree within one level of tiles. */
const heightOfTile = 8;

/** Where a tile stands. */
export interface TilePlace {
  readonly level: number;
  readonly index: number;
}

/** What a tile is stored as. */
export function tileId({ level, index }: TilePlace): string {
  return `${level}/${index}`;
}

/** Hashes of tiles, one after another, by the tiles' ids. One that is not there is left out. */
export type TileReader = (ids: readonly string[]) => Promise<ReadonlyMap<string, Buffer>>;

/** A tile that a root or proof needs is missing, or shorter than the tree says. */
export class TileMissingError extends Error {
  override readonly name = 'TileMissingError';

  constructor(readonly tile: string) {
    super(`the tile ${tile} of the audit log is missing, or not complete`);
  }
}

/** The tile and the stretch of it that a perfect subtree is computed from. */
function sourceOf({ start, end }: Range): TilePlace & { readonly offset: number; readonly count: number } {
  let height = Math.round(Math.log2(end - start));
  const level = Math.floor(height / heightOfTile);
  height -= level * heightOfTile;
  const first = start / tileWidth ** level;
  return { level, index: Math.floor(first / tileWidth), offset: first % tileWidth, count: 2 ** height };
}

/**
 * The roots of subtrees, each one of those a tree is split into.
 *
 * @throws {TileMissingError}
 */
export async function rootsOf(ranges: readonly Range[], read: TileReader): Promise<Buffer[]> {
  const parts = ranges.map((range) => perfectParts(range).map(sourceOf));
  const tiles = await read([...new Set(parts.flat().map(tileId))]);
  return parts.map((sources) =>
    rootOver(
      sources.map((source) => {
        const id = tileId(source);
        const bytes = tiles.get(id)?.subarray(source.offset * hashLength, (source.offset + source.count) * hashLength);
        if (bytes?.length !== source.count * hashLength) throw new TileMissingError(id);
        return perfectRoot(hashesIn(bytes));
      }),
    ),
  );
}

/** The root of the tree as it was at a size. @throws {TileMissingError} */
export async function rootAt(size: number, read: TileReader): Promise<Buffer> {
  const [root] = await rootsOf([{ start: 0, end: size }], read);
  return root ?? rootOver([]);
}

/** The hashes in a tile. */
export function hashesIn(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length / hashLength }, (_, at) =>
    bytes.subarray(at * hashLength, (at + 1) * hashLength),
  );
}

/** The tiles on the right edge of a tree of some size that are not full: those that grow with the next leaf. */
export function growingTiles(size: number): TilePlace[] {
  const places: TilePlace[] = [];
  let count = size;
  for (let level = 0; level === 0 || count > 0; level += 1) {
    places.push({ level, index: Math.floor(count / tileWidth) });
    count = Math.floor(count / tileWidth);
  }
  return places;
}

/** How many hashes a tile holds in a tree of some size. */
export function widthOf({ level, index }: TilePlace, size: number): number {
  const hashes = Math.floor(size / tileWidth ** level);
  return Math.max(0, Math.min(tileWidth, hashes - index * tileWidth));
}

/**
 * The tiles that change when leaves are added, as they are then.
 *
 * @param size of the tree before
 * @param growing the hashes of {@link growingTiles}, by id; one that does not exist yet is left out
 * @throws {TileMissingError} one of them is not as long as the tree says
 */
export function grow(
  size: number,
  growing: ReadonlyMap<string, Buffer>,
  leaves: readonly Buffer[],
): Map<string, TilePlace & { readonly hashes: Buffer }> {
  const open = growingTiles(size).map((place) => {
    const hashes = growing.get(tileId(place)) ?? Buffer.alloc(0);
    if (hashes.length !== widthOf(place, size) * hashLength) throw new TileMissingError(tileId(place));
    return { index: place.index, hashes: hashesIn(hashes), changed: false };
  });
  const grown = new Map<string, TilePlace & { readonly hashes: Buffer }>();
  const keep = (level: number, { index, hashes }: { readonly index: number; readonly hashes: readonly Buffer[] }) => {
    grown.set(tileId({ level, index }), { level, index, hashes: Buffer.concat(hashes) });
  };
  const add = (level: number, hash: Buffer) => {
    const tile = (open[level] ??= { index: 0, hashes: [], changed: false });
    tile.hashes.push(hash);
    tile.changed = true;
    if (tile.hashes.length < tileWidth) return;
    keep(level, tile);
    add(level + 1, perfectRoot(tile.hashes));
    open[level] = { index: tile.index + 1, hashes: [], changed: false };
  };
  for (const leaf of leaves) add(0, leaf);
  for (const [level, tile] of open.entries()) if (tile.changed) keep(level, tile);
  return grown;
}
