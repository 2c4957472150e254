/**
 * What the contract calls its operations. A name follows from method and path, so it is as stable as these are, and nobody
 * has to think of one: `POST /v1/accounts/:id/holds` is `createAccountHold`.
 */
import { z } from 'zod';
import type { Route } from '../route';

type Named = Pick<Route, 'method' | 'path' | 'answers' | 'operation'>;

/** A name for an operation, unique among those of other paths and methods. */
export function operationIdOf(route: Named, routes: readonly Named[]): string {
  if (route.operation !== undefined) return route.operation;
  const words = wordsOf(route.path);
  const last = words.at(-1);
  if (last === undefined) return route.method;
  if (route.method === 'post' && !last.isParameter) {
    const owner = words.slice(0, -1);
    // What can be listed is created; anything else that is posted to is done.
    const isMember = routes.some((other) => other.path === route.path && isList(other));
    return isMember ? camel(['create', ...names(owner), singular(last.text)]) : camel([last.text, ...names(owner)]);
  }
  const verb = isList(route) ? 'list' : verbs[route.method];
  return camel([verb, ...(verb === 'list' ? [...names(words.slice(0, -1)), last.text] : names(words))]);
}

/** The group an operation belongs to: the resource its path names, that of an account's resource before the account's own. */
export function tagOf({ path }: Named, routes: readonly Named[]): string {
  if (!/^\/(v1|auth|codec)\//.test(path)) return 'service';
  const [first = { text: 'service', path: '' }, ...rest] = wordsOf(path).filter(({ isParameter }) => !isParameter);
  const [second] = rest;
  if (first.text !== 'accounts' || second === undefined) return first.text;
  // Suspending and the like belong to the account: there is nothing to read at such a path.
  return routes.some((other) => other.method === 'get' && other.path === second.path) ? second.text : first.text;
}

const verbs = { get: 'get', post: 'post', put: 'put', patch: 'update', delete: 'delete' } as const;

interface Word {
  readonly text: string;
  readonly isParameter: boolean;
  /** Up to here. */
  readonly path: string;
}

function wordsOf(path: string): Word[] {
  const parts = path.split('/').slice(1);
  return parts
    .map((part, index) => ({
      text: part.replace(/^:/, '').replace(/^\./, ''),
      isParameter: part.startsWith(':'),
      path: `/${parts.slice(0, index + 1).join('/')}`,
    }))
    .filter(({ text }) => text !== 'v1');
}

/** Whether a call answers a page of something. */
function isList({ method, answers }: Named): boolean {
  const schema = answers[200]?.schema;
  return method === 'get' && schema instanceof z.ZodObject && 'nextCursor' in schema.shape;
}

/** One of many where a parameter says which. */
function names(words: readonly Word[]): string[] {
  return words.flatMap(({ text, isParameter }, index) => {
    if (isParameter) return [];
    return [words[index + 1]?.isParameter === true ? singular(text) : text];
  });
}

function singular(word: string): string {
  if (word.endsWith('ies')) return `${word.slice(0, -3)}y`;
  return word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word;
}

function camel(words: readonly string[]): string {
  const parts = words.flatMap((word) => word.split(/[-._]/)).filter((part) => part !== '');
  return parts.map((part, index) => (index === 0 ? part : part.charAt(0).toUpperCase() + part.slice(1))).join('');
}
