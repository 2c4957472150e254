/**
 * The published contract (OpenAPI 3.1): what is declared of each call, with the very schemas its requests are judged by. The
 * same declarations give the same document, byte for byte.
 */
import { sites } from '../../lifecycle';
import { problemShape } from '../answers/problem';
import { operationIdOf, tagOf } from './names';
import { byStatus, problemCodes, problemsOf } from './problems';
import { SchemaShelf, type Schema } from './schemas';
import type { ProblemCode } from '../problems';
import type { AnswerShape, Route } from '../route';

/** What of a deployment its contract says. */
export interface ContractOptions {
  /** Its site: requests meant for another region are refused. */
  readonly region: string;
}

type Part = Readonly<Record<string, unknown>>;

/** The version of the contract: the first number is that of its paths, the second grows with what is added. */
const version = '1.0';
const description =
  'Account retention: suspension, closure, expiry and proven erasure. Answers may gain members; clients ignore those they do ' +
  'not know. A problem (RFC 9457) is told apart by its `code`. `x-ablauf-roles` names the roles that may call an operation, ' +
  '`x-ablauf-step-up` the scope a key needs for it, or what a person has to have signed in freshly for.';

/** The document for these calls. */
export function contractOf(all: readonly Route[], { region }: ContractOptions): Part {
  const routes = all.filter(({ published }) => published !== false);
  const shelf = new SchemaShelf();
  const shapes = new Map([...byStatus(problemCodes)].map(([status, codes]) => [status, problemShape(status, codes)]));
  const paths: Record<string, Record<string, Part>> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method]: operation(route) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Ablauf',
      version,
      description,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: `The deployment this was read from, at ${region}` }],
    tags: [...new Set(routes.map((route) => tagOf(route, routes)))].sort().map((name) => ({ name })),
    paths,
    components: {
      schemas: shelf.components(),
      parameters: standardParameters(region),
      headers: standardHeaders,
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'A key: `Authorization: Bearer KEY`' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-ablauf_session',
          description: 'The session of somebody who has signed in; writes need to come from our own pages',
        },
      },
    },
  };

  function operation(route: Route): Part {
    const { method, roles, summary, stepUp } = route;
    const parameters = [
      ...parametersIn('path', route.params),
      ...parametersIn('query', route.query),
      ...(method === 'get' ? [] : [reference('parameters', 'IfMatch')]),
      ...(method !== 'get' && route.idempotent ? [reference('parameters', 'IdempotencyKey')] : []),
      reference('parameters', 'AblaufRegion'),
    ];
    const body = bodyOf(route);
    return {
      operationId: operationIdOf(route, routes),
      tags: [tagOf(route, routes)],
      summary,
      'x-ablauf-roles': roles,
      ...(stepUp === undefined ? {} : { 'x-ablauf-step-up': stepUp }),
      security: roles === 'public' ? [] : [{ key: [] }, { session: [] }],
      parameters,
      ...(body === undefined ? {} : { requestBody: body }),
      responses: Object.fromEntries([...successes(route), ...problems(route)]),
    };
  }

  function parametersIn(place: 'path' | 'query', declared: Route['params']): Part[] {
    if (declared === undefined) return [];
    const { properties = {}, required = [] } = shelf.resolved(shelf.of(declared));
    return Object.entries(properties as Record<string, Schema>).map(([name, schema]) => ({
      name,
      in: place,
      required: place === 'path' || (required as readonly string[]).includes(name),
      schema,
    }));
  }

  function bodyOf({ body, text, signed, bodyTypes }: Route): Part | undefined {
    if (body === undefined) return undefined;
    // What is signed, or has no type of its own, is taken as it comes.
    if (signed === true) return { required: true, content: { 'application/octet-stream': {} } };
    const types = bodyTypes ?? { [text === true ? 'text/plain' : 'application/json']: body };
    const content = Object.entries(types).map(([type, schema]) => [type, { schema: shelf.of(schema) }]);
    // No body is read as an empty one, which does not suffice where anything has to be named.
    const said = shelf.resolved(shelf.of(body));
    const required = text === true || !body.safeParse({}).success || 'minProperties' in said || 'anyOf' in said;
    return { required, content: Object.fromEntries(content) as Part };
  }

  function successes({ answers, method, idempotent }: Route): [string, Part][] {
    return Object.entries(answers).map(([status, shape]) => {
      const repeated =
        method !== 'get' && idempotent ? { 'Idempotency-Replayed': reference('headers', 'Replayed') } : {};
      return [status, { ...successOf(shape), headers: { ...headersOf(shape.headers), ...repeated } }];
    });
  }

  function successOf({ description: said, schema, type = schema && 'application/json' }: AnswerShape): Part {
    if (type === undefined) return { description: said };
    return { description: said, content: { [type]: schema === undefined ? {} : { schema: shelf.of(schema) } } };
  }

  function problems(route: Route): [string, Part][] {
    return [...problemsOf(route)].map(([status, codes]) => [String(status), problemOf(status, codes)]);
  }

  function problemOf(status: number, codes: readonly ProblemCode[]): Part {
    const shape = shapes.get(status);
    const later = codes.some((code) => code === 'unavailable' || code === 'rate-limited');
    return {
      description: codes.map((code) => `\`${code}\``).join(', '),
      headers: {
        ...headersOf(),
        ...(later ? { 'Retry-After': reference('headers', 'RetryAfter') } : {}),
        ...(status === 401 ? { 'WWW-Authenticate': reference('headers', 'Authenticate') } : {}),
      },
      content: { 'application/problem+json': shape === undefined ? {} : { schema: shelf.of(shape) } },
    };
  }
}

function reference(kind: 'parameters' | 'headers', name: string): Part {
  return { $ref: `#/components/${kind}/${name}` };
}

function headersOf(own: AnswerShape['headers'] = []): Part {
  return {
    'X-Request-Id': reference('headers', 'RequestId'),
    ...Object.fromEntries(own.map((name) => [name, reference('headers', name)])),
  };
}

const standardHeaders = {
  RequestId: {
    description:
      'What the request is called in logs and in the audit log; as sent, where it is 1–128 of A–Z a–z 0–9 . _ : -',
    required: true,
    schema: { type: 'string', pattern: '^[A-Za-z0-9._:-]{1,128}$' },
  },
  ETag: {
    description: 'The version that was read or made; what `If-Match` takes',
    required: true,
    schema: { type: 'string', pattern: '^"[^"]*"$' },
  },
  Location: { description: 'Where what was made is', required: false, schema: { type: 'string' } },
  Replayed: {
    description: 'The answer is the one that was given to an earlier request with this `Idempotency-Key`',
    required: false,
    schema: { type: 'string', enum: ['true'] },
  },
  RetryAfter: { description: 'When to ask again, in seconds', required: false, schema: { type: 'string' } },
  Authenticate: { description: 'How to show who you are', required: false, schema: { type: 'string' } },
};

function standardParameters(region: string): Part {
  const dataRegion = Object.entries(sites).find(([site]) => site === region)?.[1];
  return {
    IfMatch: {
      name: 'If-Match',
      in: 'header',
      required: false,
      description: 'The entity tag of the version that was read: the write is refused where it has changed since',
      schema: { type: 'string', pattern: '^(\\*|"[0-9]{1,15}")$' },
    },
    IdempotencyKey: {
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description:
        'Makes the request safe to repeat for a day: it is carried out once, and a repeat answered as it was',
      schema: { type: 'string', pattern: '^[!-~]{1,255}$' },
    },
    AblaufRegion: {
      name: 'Ablauf-Region',
      in: 'header',
      required: false,
      description: 'The region the request is meant for; another one refuses it',
      schema: { type: 'string', enum: [region, ...(dataRegion === undefined ? [] : [dataRegion])] },
    },
  };
}
