/** The published contract: that it is valid, complete, and always the same. That the answers are as it says, every test shows. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020';
import { contractOf, problemCatalogue } from '../src/api';
import { startApi, type Api } from './helpers/api';
import { region } from './helpers/system';

type Json = Readonly<Record<string, unknown>>;
interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security: readonly Json[];
  readonly responses: Readonly<Record<string, Json>>;
  readonly requestBody?: Json;
  readonly parameters: readonly Json[];
  readonly 'x-ablauf-roles': readonly string[] | 'public';
}

let api: Api;
let document: Json;
let operations: readonly (readonly [name: string, Operation])[];

beforeAll(async () => {
  api = await startApi();
  const answered = await api.ask('GET', '/openapi.json', { key: null });
  document = answered.body;
  const paths = document['paths'] as Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method} ${path}`, operation] as const),
  );
});
afterAll(() => api.stop());

describe('GET /openapi.json', () => {
  it('is an OpenAPI 3.1 document', () => {
    const schema = readFileSync(
      require.resolve('@seriousme/openapi-schema-validator/schemas/v3.1/schema.json'),
      'utf8',
    );
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(JSON.parse(schema) as Json);
    expect(validate(document) ? [] : validate.errors).toEqual([]);
  });

  it('holds only schemas that are some, and references that lead somewhere', () => {
    const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, validateFormats: false });
    for (const word of ['x-ablauf-codes', ...Object.keys(document)]) ajv.addKeyword({ keyword: word });
    ajv.addSchema(document, 'contract');
    const pointers = schemaPointers(document);
    expect(pointers.length).toBeGreaterThan(500);
    const distinct = new Map(
      pointers.map((pointer) => [JSON.stringify(valueAt(document, decodeURI(pointer))), pointer]),
    );
    for (const pointer of distinct.values())
      expect(typeof ajv.compile({ $ref: `contract#${pointer}` })).toBe('function');
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#([^"]+)"/g)].map(([, pointer = '']) => pointer);
    for (const pointer of new Set(references))
      expect([pointer, valueAt(document, pointer)]).toEqual([pointer, anything]);
  });

  it('names every call there is, once, with who may make it', () => {
    const published = api.routes.filter((route) => route.published !== false);
    expect(operations.map(([name]) => name).sort()).toEqual(
      published.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`).sort(),
    );
    for (const { method, path, roles } of published) {
      const operation = operations.find(([name]) => name === `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)?.[1];
      expect([path, operation?.['x-ablauf-roles']]).toEqual([path, roles]);
      expect([path, operation?.security.length]).toEqual([path, roles === 'public' ? 0 : 2]);
    }
  });

  it('names operations so that a client can be made of it', () => {
    const ids = operations.map(([, { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[a-z][A-Za-z0-9]*$/);
    const byName = Object.fromEntries(operations.map(([name, { operationId }]) => [name, operationId]));
    expect(byName).toMatchObject({
      'post /v1/accounts': 'createAccount',
      'get /v1/accounts': 'listAccounts',
      'get /v1/accounts/{id}': 'getAccount',
      'patch /v1/accounts/{id}': 'updateAccount',
      'post /v1/accounts/{id}/suspend': 'suspendAccount',
      'post /v1/accounts/{id}/holds': 'createAccountHold',
      'delete /v1/accounts/{id}/holds/{holdId}': 'deleteAccountHold',
      'get /v1/accounts/{id}/records': 'listAccountRecords',
      'post /v1/accounts/{id}/policy/preview': 'previewAccountPolicy',
      'post /v1/audit/verify': 'verifyAudit',
    });
  });

  it('says of every call what it answers when all goes well, and every problem there is somewhere', () => {
    for (const [name, { responses, summary }] of operations) {
      expect([name, Object.keys(responses).filter((status) => status < '300').length]).not.toEqual([name, 0]);
      expect(summary).toMatch(/^[A-Z].*\.$/);
    }
    const said = new Set(operations.flatMap(([, { responses }]) => Object.keys(responses)));
    for (const { status } of Object.values(problemCatalogue)) {
      // What no declared call answers.
      if (status !== problemCatalogue['method-not-allowed'].status) expect([...said]).toContain(String(status));
    }
  });

  it('is the same whoever asks, and whichever process', async () => {
    const first = await api.ask('GET', '/openapi.json', { key: null });
    const second = await api.ask('GET', '/openapi.json');
    expect(second.text).toBe(first.text);
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'));
    expect(JSON.stringify(contractOf(api.routes, { region }))).toBe(first.text);
  });

  it('says what it takes as a number where a query takes one', () => {
    const [, list] = operations.find(([name]) => name === 'get /v1/accounts') ?? [];
    expect(list?.parameters).toContainEqual(
      expect.objectContaining({
        name: 'limit',
        in: 'query',
        required: false,
        schema: { type: 'integer', minimum: 1, maximum: 1000, default: 50 },
      }),
    );
  });
});

const anything: unknown = expect.anything();

/** Where the schemas of a document are. */
function schemaPointers(value: unknown, at = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const pointer = `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (name === 'schema') return [encodeURI(pointer)];
    if (at === '/components/schemas') return [encodeURI(pointer)];
    return schemaPointers(inner, pointer);
  });
}

function valueAt(document: Json, pointer: string): unknown {
  const parts = pointer.split('/').slice(1);
  return parts.reduce<unknown>(
    (value, part) => (value as Json | undefined)?.[part.replaceAll('~1', '/').replaceAll('~0', '~')],
    document,
  );
}
