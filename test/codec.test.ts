/** R21: Temporal's Web UI and command line open payloads with the API's codec, for signed-in operators only and on record. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { startCodecBridge } from '../src/embedded';
import { resolveTemporalCli } from '../src/embedded/executables';
import { createPayloadCodec } from '../src/temporal';
import { adminKey, startApi, type Answered, type Api } from './helpers/api';
import { required, workflowIdOf } from './helpers/system';

const run = promisify(execFile);
const webUi = 'http://127.0.0.1:8233';
const minute = 60_000;

let api: Api;
let operator: string;
let now = Date.now();
let audited = true;

beforeAll(async () => {
  api = await startApi({
    dependencies: (given) => ({
      ...given,
      webUiOrigins: [webUi],
      clock: () => new Date(now),
      store: {
        ...given.store,
        transaction: (work) => (audited ? given.store.transaction(work) : Promise.reject(new Error('it cannot write'))),
      },
    }),
  });
  operator = await api.keyFor('operator');
}, 120_000);
afterAll(() => api.stop());
beforeEach(() => {
  // A reading of the test before is long past.
  now += 10 * minute;
});

interface JsonPayload {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly data?: string;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const textOf = (encoded: string | undefined): string => Buffer.from(encoded ?? '', 'base64').toString();
const typed = (value: unknown): JsonPayload => ({
  metadata: { encoding: base64('json/plain') },
  data: base64(JSON.stringify(value)),
});

/** As Temporal's Web UI asks, version 2.54: its own query, its header, no key unless somebody signed in there. */
function asWebUi(what: 'encode' | 'decode', payloads: readonly unknown[], key: string | null = operator) {
  return api.ask('POST', `/codec/${what}?preserveStorageRefs=true`, {
    key,
    raw: JSON.stringify({ payloads }),
    headers: { 'content-type': 'application/json', 'x-namespace': 'default', origin: webUi },
  });
}

const payloadsOf = ({ body }: Answered): JsonPayload[] => body['payloads'] as JsonPayload[];

async function stored(value: unknown): Promise<JsonPayload> {
  const [payload = {}] = payloadsOf(await asWebUi('encode', [typed(value)]));
  return payload;
}

async function readings(): Promise<number> {
  return api.system.store.audit.entries.countDocuments({ action: 'payloads.decoded' });
}

describe('the Web UI', () => {
  test('R21: encrypts what is typed in, and opens what is stored', async () => {
    const value = { reason: 'typed into the Web UI' };
    const encoded = await asWebUi('encode', [typed(value), typed(1)]);
    expect(encoded.status).toBe(200);
    const [first = {}] = payloadsOf(encoded);
    expect(textOf(first.metadata?.['encoding'])).toBe('binary/encrypted');
    expect(textOf(first.data)).not.toContain('typed into');
    const decoded = await asWebUi('decode', payloadsOf(encoded));
    expect(payloadsOf(decoded)).toEqual([typed(value), typed(1)]);
    expect(decoded.headers.get('access-control-allow-origin')).toBe(webUi);
    expect(decoded.headers.get('access-control-allow-credentials')).toBeNull();
  });

  test('what was not encrypted comes back as it was, members it may have included', async () => {
    const plain = { ...typed('by hand'), externalPayloads: [{ sizeBytes: '3' }] };
    const empty = { metadata: { encoding: base64('binary/null') } };
    const answer = await asWebUi('decode', [plain, empty, {}]);
    expect(payloadsOf(answer)).toEqual([plain, { ...empty, data: '' }, { metadata: {}, data: '' }]);
    expect(payloadsOf(await asWebUi('decode', []))).toEqual([]);
  });

  test.each([
    ['the Web UI', webUi, true],
    ['another page', 'https://elsewhere.example', false],
    ['no page', undefined, false],
  ])('a preflight request of %s', async (_who, origin, allowed) => {
    const answer = await api.ask('OPTIONS', '/codec/decode', {
      key: null,
      headers: {
        ...(origin === undefined ? {} : { origin }),
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-namespace',
      },
    });
    expect(answer.status).toBe(allowed ? 204 : 405);
    expect(answer.headers.get('access-control-allow-origin')).toBe(allowed ? webUi : null);
    expect(answer.headers.get('vary')).toBe('Origin');
    if (!allowed) return;
    expect(answer.headers.get('access-control-allow-methods')).toBe('POST');
    const names = answer.headers.get('access-control-allow-headers')?.split(', ');
    expect(names).toEqual(expect.arrayContaining(['authorization', 'content-type', 'x-namespace']));
  });

  test('R21: who is not signed in, or is no operator, gets nothing, and the page can read why', async () => {
    const payload = await stored('for operators');
    const refused = await asWebUi('decode', [payload], null);
    expect(refused).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(refused.headers.get('access-control-allow-origin')).toBe(webUi);
    for (const role of ['auditor', 'legal', 'gateway'] as const) {
      expect(await asWebUi('decode', [payload], await api.keyFor(role))).toMatchObject({ status: 403 });
      expect(await asWebUi('encode', [typed(1)], await api.keyFor(role))).toMatchObject({ status: 403 });
    }
  });

  test.each<[string, string]>([
    ['no JSON', 'payloads'],
    ['no payloads', '{}'],
    ['payloads that are no list', '{"payloads":{}}'],
    ['data that is not base64', '{"payloads":[{"data":"ü"}]}'],
    ['metadata that is not text', '{"payloads":[{"metadata":{"encoding":1}}]}'],
  ])('refuses %s', async (_what, raw) => {
    const answer = await api.ask('POST', '/codec/decode', { key: operator, raw });
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation' } });
  });

  test('R21, R25: what was altered or belongs to another region is refused, and nothing beside it is shown', async () => {
    const payload = await stored('altered');
    const bytes = Buffer.from(payload.data ?? '', 'base64');
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    const altered = { ...payload, data: bytes.toString('base64') };
    expect(await asWebUi('decode', [await stored('beside it'), altered])).toMatchObject({
      status: 400,
      body: { code: 'validation', errors: [{ path: 'payloads' }] },
    });
    const [theirs = {}] = await createPayloadCodec({ ...api.system.store.vault, region: 'us-east-1' }).encode([{}]);
    const names = Object.entries(theirs.metadata ?? {}).map(([name, text]) => [
      name,
      Buffer.from(text).toString('base64'),
    ]);
    const data = Buffer.from(theirs.data ?? []).toString('base64');
    const metadata = Object.fromEntries(names) as Record<string, string>;
    expect(await asWebUi('decode', [{ metadata, data }])).toMatchObject({ status: 400 });
  });
});

describe('the record of it', () => {
  test('R19: one entry in ten minutes for each key, however many payloads; none for what anybody can read', async () => {
    const payload = await stored('on record');
    const before = await readings();
    await asWebUi('decode', [typed('plain')]);
    expect(await readings()).toBe(before);
    await Promise.all(Array.from({ length: 8 }, () => asWebUi('decode', [payload])));
    now += 10 * minute - 1;
    await asWebUi('decode', [payload]);
    expect(await readings()).toBe(before + 1);
    await asWebUi('decode', [payload], await api.keyFor('operator'));
    expect(await readings()).toBe(before + 2);
    now += 1;
    await asWebUi('decode', [payload]);
    expect(await readings()).toBe(before + 3);
  });

  test('R19: what cannot be put on record is not shown', async () => {
    const payload = await stored('not shown');
    audited = false;
    const refused = await asWebUi('decode', [payload]).finally(() => {
      audited = true;
    });
    expect(refused.status).toBeGreaterThanOrEqual(500);
    expect(refused.text).not.toContain(base64(JSON.stringify('not shown')));
    expect((await asWebUi('decode', [payload])).status).toBe(200);
  });
});

describe("Temporal's command line", () => {
  const note = `canary-${randomUUID()}`;
  let id: string;

  beforeAll(async () => {
    id = await api.system.createAccount();
    await api.system.send(id, 'suspend', { reason: 'other', note });
  });

  /** `temporal workflow show`, as an operator runs it. */
  async function shown(...more: string[]): Promise<string> {
    const { path } = await resolveTemporalCli();
    const workflow = ['--workflow-id', workflowIdOf(api.system.store.region, id)];
    const server = ['--address', required('ABLAUF_TEST_TEMPORAL'), '--namespace', 'default'];
    const { stdout } = await run(path, ['workflow', 'show', ...workflow, ...server, '--output', 'json', ...more], {
      env: { ...process.env, TEMPORAL_VERSION_CHECK_DISABLED: '1' },
      maxBuffer: 32 * 1024 * 1024,
    });
    // It leaves what it opened in base64.
    const payloads = [...stdout.matchAll(/"data":\s*"([^"]*)"/g)].map(([, data]) => textOf(data));
    return [stdout, ...payloads].join('\n');
  }

  test('R21: shows a history with the codec, and ciphertext without it', async () => {
    expect(await shown()).not.toContain(note);
    const opened = await shown('--codec-endpoint', `${api.url}/codec`, '--codec-auth', `Bearer ${operator}`);
    expect(opened).toContain(note);
    expect(opened).not.toContain(base64('binary/encrypted'));
  });

  test('R21: shows nothing to who has no key', async () => {
    const answer = await shown('--codec-endpoint', `${api.url}/codec`).catch((error: unknown) => String(error));
    expect(answer).not.toContain(note);
  });
});

describe("the development server's Web UI", () => {
  test('opens payloads with the key of the developer, for its own page alone', async () => {
    const bridge = await startCodecBridge({ api: api.url, key: adminKey, uiPort: 8233 });
    const ask = (what: string, origin: string | undefined, method = 'POST', body?: unknown) =>
      fetch(`${bridge.url}/${what}?preserveStorageRefs=true`, {
        method,
        headers: { ...(origin === undefined ? {} : { origin }), 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    try {
      const payloads = [await stored('for a developer')];
      const answer = await ask('decode', webUi, 'POST', { payloads });
      expect(await answer.json()).toEqual({ payloads: [typed('for a developer')] });
      expect(answer.headers.get('access-control-allow-origin')).toBe(webUi);
      expect((await ask('decode', webUi, 'OPTIONS')).status).toBe(204);
      expect((await ask('decode', webUi, 'GET')).status).toBe(405);
      expect((await ask('decode', 'http://127.0.0.1:1', 'POST', { payloads })).status).toBe(403);
      expect((await ask('decode', undefined, 'POST', { payloads })).status).toBe(403);
      expect((await ask('v1/accounts', webUi, 'POST', {})).status).toBe(403);
    } finally {
      await bridge.stop();
    }
  });
});
