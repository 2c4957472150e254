/**
 * How a key looks: `ablauf_`, 43 characters of chance, 6 of checksum.
 *
 * The prefix lets scanners of leaked secrets find it; the checksum lets a mistyped or guessed one be refused without
 * asking the database.
 */
import { hash, randomBytes } from 'node:crypto';

const prefix = 'ablauf_';
const shape = /^ablauf_[A-Za-z0-9_-]{49}$/;
const checksumLength = 6;

/** A new key. It is shown once; what is stored is {@link hashOf} it. */
export function newKey(): string {
  const chance = randomBytes(32).toString('base64url');
  return `${prefix}${chance}${checksumOf(chance)}`;
}

/** Whether a text can be a key at all. */
export function isWellFormed(key: string): boolean {
  if (!shape.test(key)) return false;
  const chance = key.slice(prefix.length, -checksumLength);
  return checksumOf(chance) === key.slice(-checksumLength);
}

/** What is stored and looked up in place of a key. A key holds 256 bits of chance, so a plain hash is enough. */
export function hashOf(key: string): string {
  return hash('sha256', key);
}

function checksumOf(chance: string): string {
  return hash('sha256', `${prefix}${chance}`, 'base64url').slice(0, checksumLength);
}
