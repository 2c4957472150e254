/** Recorded histories, and what opens those whose payloads are encrypted. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mongo } from 'mongoose';
import type { KeyDocument } from '../../src/vault';

/** The course whose history is kept as it was stored, besides. */
export const keptEncrypted = 'held-and-erased';

const folder = join(__dirname, '..', 'histories');

/** A history as recorded, in JSON. @param name such as `swept`, or `encrypted/…` */
export function recordedHistory(name: string): string {
  return readFileSync(join(folder, `${name}.json`), 'utf8');
}

/** The key of the encrypted history's payloads, wrapped under the tests' master key. */
export function recordedKey(): KeyDocument {
  return mongo.BSON.EJSON.parse(recordedHistory('encrypted/key')) as KeyDocument;
}
