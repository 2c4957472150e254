/** Holding what the API answers against what it publishes, answer by answer. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020';
import type { Route } from '../../src/api';

/** An answer as it came, and what it was asked with. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

type Json = Readonly<Record<string, unknown>>;
interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Json }>>; readonly headers?: Json }>
  >;
}

/** Says what of an answer is not as the contract has it; nothing where all is well. */
export type Checker = (exchange: Exchange) => string | undefined;

/**
 * A checker for a contract. The published schemas are open, since members may be added; here they are closed, so that no
 * answer holds what is not described.
 */
export function contractChecker(document: Json, routes: readonly Route[]): Checker {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: false });
  ajv.addSchema(closed(document) as Json, 'contract');
  const declared = routes.map(({ method, path, published }) => ({
    method: method.toUpperCase(),
    pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+')}$`),
    published: published !== false,
    path: path.replaceAll(/:(\w+)/g, '{$1}'),
  }));
  const paths = document['paths'] as Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  const compiled = new Map<string, ValidateFunction>();

  return ({ method, path, status, headers, text }) => {
    const bare = path.split('?')[0] ?? '';
    const fitting = declared.filter(({ pattern }) => pattern.test(bare));
    // A path that is declared as it stands is not that of an id.
    const exact = fitting.filter((one) => one.path === bare);
    const route = (exact.length > 0 ? exact : fitting).find(
      (one) => one.method === (method === 'HEAD' ? 'GET' : method),
    );
    if (route?.published !== true) return undefined;
    const name = route.method.toLowerCase();
    const answer = paths[route.path]?.[name]?.responses[String(status)];
    const said = `${method} ${route.path} answered ${status}`;
    if (answer === undefined) return `${said}, which is not in the contract: ${text.slice(0, 300)}`;
    const missing = Object.keys(answer.headers ?? {}).filter(
      (header) => ['ETag', 'Location', 'X-Request-Id'].includes(header) && isRequired(header, headers),
    );
    if (missing.length > 0) return `${said} without ${missing.join(', ')}`;
    if (status < 400 && answer.headers?.['ETag'] === undefined && headers.has('etag'))
      return `${said} with an ETag the contract does not know`;
    if (method === 'HEAD') return undefined;
    const type = (headers.get('content-type') ?? '').split(';')[0] ?? '';
    if (answer.content === undefined) return text === '' ? undefined : `${said} with a body the contract does not know`;
    const content = answer.content[type];
    if (content === undefined) return `${said} as ${type}, which is not in the contract`;
    if (content.schema === undefined) return undefined;
    const pointer = ['paths', route.path, name, 'responses', String(status), 'content', type, 'schema']
      .map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
      .join('/');
    const validate = compiled.get(pointer) ?? ajv.compile({ $ref: `contract#/${pointer}` });
    compiled.set(pointer, validate);
    return validate(JSON.parse(text))
      ? undefined
      : `${said} with what is not in the contract: ${ajv.errorsText(validate.errors)} in ${text.slice(0, 300)}`;
  };
}

function isRequired(header: string, headers: Headers): boolean {
  return header !== 'Location' && !headers.has(header);
}

/** The same schemas without room for members they do not name. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, inner]) => [name, closed(inner)] as const);
  const isOpen = 'properties' in value && !('additionalProperties' in value) && 'type' in value;
  return Object.fromEntries([...members, ...(isOpen ? [['additionalProperties', false] as const] : [])]);
}
