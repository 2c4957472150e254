/** Where somebody is sent once they are signed in: a path of ours, whatever the link said that brought them. */

const printable = /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,1023}$/;
/** Where nobody said. */
export const standardReturn = '/auth';

/**
 * Whether a text is a path of this very origin: `//host`, a backslash, which browsers take for a slash, and control characters,
 * which they drop, lead elsewhere.
 */
export function isOwnPath(text: string): boolean {
  if (!printable.test(text)) return false;
  const base = 'https://here.invalid';
  return URL.canParse(text, base) && new URL(text, base).origin === base;
}
