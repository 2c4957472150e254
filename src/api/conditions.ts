/** Reading the headers that make a request conditional or repeatable. */
import { invalid, Problem } from './problems';
import type { Incoming } from './route';

const entityTag = /^(W\/)?"([\x21\x23-\x7e]*)"$/;
const visibleText = /^[\x21-\x7e]{1,255}$/;

/**
 * The version a client saw, from `If-Match`; nothing where it names none or accepts any.
 *
 * @throws {Problem} 400 where it is no entity tag, 412 where it is one we never gave out
 */
export function ifMatchOf(request: Incoming): number | undefined {
  const text = request.headers['if-match']?.trim();
  if (text === undefined || text === '*') return undefined;
  const match = entityTag.exec(text);
  if (match === null) throw invalid([{ path: 'If-Match', detail: 'must be * or one entity tag, such as "7"' }]);
  const [, weak, tag = ''] = match;
  if (weak !== undefined || !/^\d{1,15}$/.test(tag))
    throw new Problem('precondition-failed', 'no version has this entity tag');
  return Number(tag);
}

/** The `Idempotency-Key`, if any. @throws {Problem} it is not 1–255 visible ASCII characters */
export function idempotencyKeyOf(request: Incoming): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && visibleText.test(key)) return key;
  throw invalid([{ path: 'Idempotency-Key', detail: 'must be 1–255 visible ASCII characters' }]);
}

/** The key from `Authorization: Bearer KEY`. @throws {Problem} there is none */
export function bearerOf(request: Incoming): string {
  const match = /^Bearer +([\x21-\x7e]{1,1024}) *$/i.exec(request.headers.authorization ?? '');
  if (match?.[1] === undefined) throw unauthenticated('show a key: Authorization: Bearer KEY');
  return match[1];
}

export function unauthenticated(detail: string): Problem {
  return new Problem('unauthenticated', detail, {}, { 'WWW-Authenticate': 'Bearer' });
}
