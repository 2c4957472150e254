/** Downstream processors: told over OpenDSR 2.0 or a signed webhook, believed by their signature, kept on record. */
import { verify, X509Certificate } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { startApi, type Api } from './helpers/api';
import { eventually } from './helpers/eventually';
import {
  domain,
  newIdentity,
  startOpenDsrProcessor,
  startWebhookTarget,
  type Identity,
  type OpenDsrProcessor,
  type WebhookTarget,
} from './helpers/processor';
import { region } from './helpers/system';
import { actionsAbout, addendaOf, concludeFor, requestOf, seeTo, type Told } from './helpers/told';

let api: Api;
let authority: Identity;
let identity: Identity;
let processor: OpenDsrProcessor;
let target: WebhookTarget;
const settings = {
  allowPrivate: true,
  authorities: [] as string[],
  publicUrl: 'http://127.0.0.1:1',
};

beforeAll(async () => {
  authority = await newIdentity({ authority: true });
  settings.authorities.push(authority.certificate);
  identity = await newIdentity({ issuer: authority });
  api = await startApi({ processors: settings });
  settings.publicUrl = api.url;
}, 120_000);
afterAll(() => api.stop());

beforeEach(async () => {
  processor = await startOpenDsrProcessor(identity);
  target = await startWebhookTarget();
});
afterEach(async () => {
  await processor.stop();
  await target.stop();
  const { body } = await api.ask('GET', '/v1/processors?limit=1000');
  for (const { id, removedAt } of body['items'] as { id: string; removedAt?: string }[]) {
    if (removedAt === undefined) await api.ask('DELETE', `/v1/processors/${id}`);
  }
});

async function register(body: Record<string, unknown>): Promise<Record<string, unknown>> {
  const made = await api.ask('POST', '/v1/processors', { body });
  if (made.status !== 201) throw new Error(made.text);
  return made.body;
}

function registerOpenDsr(extra: Record<string, unknown> = {}) {
  return register({
    name: 'warehouse',
    kind: 'opendsr',
    url: processor.url,
    certificate: processor.certificate,
    ...extra,
  });
}

/** An erasure whose one processor has the request. */
async function told(status: 'open' | 'received' = 'received'): Promise<Told & { request: string; workflow: string }> {
  const { store, jobs } = api.system;
  const erasure = await concludeFor(store, new Date());
  const [request = ''] = erasure.requests;
  const workflow = await seeTo(jobs, region, request);
  await eventually('the processor was told', async () => {
    const { status: now, lastError } = await requestOf(store, request);
    return now === status && (status === 'received' || lastError !== undefined) ? true : undefined;
  });
  return { ...erasure, request, workflow };
}

function outcome(workflow: string): Promise<unknown> {
  return api.system.client.workflow.getHandle(workflow).result();
}

describe('registering', () => {
  it('shows a secret that is made once, and never one that was given', async () => {
    const made = await register({ name: 'mailer', kind: 'webhook', url: target.url });
    expect(made['secret']).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const given = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    expect(await register({ name: 'other', kind: 'webhook', url: target.url, secret: given })).not.toHaveProperty(
      'secret',
    );
    const { body, text } = await api.ask('GET', `/v1/processors/${String(made['id'])}`);
    expect(body).toMatchObject({ name: 'mailer', kind: 'webhook', url: target.url });
    expect(text + (await api.ask('GET', '/v1/processors')).text).not.toContain('whsec_');
  });

  it('reads the certificate where an OpenDSR processor publishes it, and pins it', async () => {
    const made = await register({ name: 'found', kind: 'opendsr', url: processor.url });
    expect(made).toMatchObject({ domain });
    expect(new X509Certificate(String(made['certificate'])).fingerprint256).toBe(
      new X509Certificate(identity.certificate).fingerprint256,
    );
  });

  it('R19: is audited, as is removing; neither entry holds a secret', async () => {
    const { id } = await register({ name: 'audited', kind: 'webhook', url: target.url });
    expect((await api.ask('DELETE', `/v1/processors/${String(id)}`)).status).toBe(204);
    expect((await api.ask('DELETE', `/v1/processors/${String(id)}`)).status).toBe(204);
    const entries = await api.system.store.audit.entries
      .find({ 'details.processor': id })
      .sort({ at: 1 })
      .lean()
      .exec();
    expect(entries.map(({ action }) => action)).toEqual(['processor.registered', 'processor.removed']);
    expect(JSON.stringify(entries)).not.toContain('whsec_');
  });

  it.each([
    ['a kind there is not', { kind: 'fax' }, 'kind'],
    ['no https', { url: 'http://example.org/hook' }, 'url'],
    ['no URL', { url: 'example' }, 'url'],
    ['another scheme', { url: 'file:///etc/passwd' }, 'url'],
    ['a password in the address', { url: 'https://a:b@example.org/' }, 'url'],
    ['a secret that is none', { secret: 'whsec_abc' }, 'secret'],
    ['a certificate for a webhook', { certificate: 'x' }, 'certificate'],
    ['an unknown member', { colour: 'red' }, ''],
    ['a domain that is not the address’s', { kind: 'opendsr', domain: 'example.org', certificate: 'x' }, 'url'],
    ['a certificate that is none', { kind: 'opendsr', certificate: 'x' }, 'certificate'],
    ['a secret for OpenDSR', { kind: 'opendsr', secret: `whsec_${Buffer.alloc(32).toString('base64')}` }, 'secret'],
  ])('refuses %s, by name, and stores nothing', async (_, change, path) => {
    const before = await api.system.store.processors.countDocuments();
    const { status, body } = await api.ask('POST', '/v1/processors', {
      body: { name: 'refused', kind: 'webhook', url: target.url, ...change },
    });
    expect([status, body['code'], (body['errors'] as { path: string }[])[0]?.path]).toEqual([400, 'validation', path]);
    expect(await api.system.store.processors.countDocuments()).toBe(before);
  });

  it('refuses a certificate of somebody else, an expired one, and one no authority vouches for', async () => {
    const past = (days: number) => new Date(Date.now() - days * 24 * 60 * 60 * 1000);
    const others = [
      [await newIdentity({ name: 'example.org', issuer: authority }), `was not issued for ${domain}`],
      [await newIdentity({ issuer: authority, from: past(20), until: past(10) }), 'has expired'],
      [await newIdentity(), 'was not issued by a known authority'],
    ] as const;
    for (const [other, detail] of others) {
      processor.identity = other;
      const { status, body } = await api.ask('POST', '/v1/processors', {
        body: { name: 'doubtful', kind: 'opendsr', url: processor.url },
      });
      expect([status, body['errors']]).toEqual([400, [{ path: 'certificate', detail }]]);
    }
  });

  it('refuses a second of the same name, and OpenDSR where nobody could call back', async () => {
    await register({ name: 'twice', kind: 'webhook', url: target.url });
    const again = { name: 'twice', kind: 'webhook', url: target.url };
    expect(await api.ask('POST', '/v1/processors', { body: again })).toMatchObject({ status: 409 });
    const { publicUrl } = settings;
    Reflect.deleteProperty(settings, 'publicUrl');
    const { status, body } = await api.ask('POST', '/v1/processors', {
      body: { name: 'unreachable', kind: 'opendsr', url: processor.url },
    });
    settings.publicUrl = publicUrl;
    expect([status, body['code'], body['detail']]).toEqual([
      409,
      'conflict',
      expect.stringContaining('ABLAUF_PUBLIC_URL is not set'),
    ]);
  });
});

describe('OpenDSR', () => {
  it('is asked as version 2.0 has it, and confirms by callback; its receipt becomes part of the certificate (R22)', async () => {
    const { id } = await registerOpenDsr();
    const { account, certificate, request, workflow } = await told();
    const [asked] = processor.heard.filter(({ method }) => method === 'POST');
    expect(asked).toMatchObject({ path: '/v2/requests', headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(asked?.body ?? '')).toEqual({
      regulation: 'gdpr',
      subject_request_id: request,
      subject_request_type: 'erasure',
      submitted_time: (await requestOf(api.system.store, request)).at.toISOString(),
      subject_identities: [
        { identity_type: 'controller_customer_id', identity_value: account, identity_format: 'raw' },
      ],
      api_version: '2.0',
      status_callback_urls: [`${api.url}/v1/processors/callbacks/${request}`],
    });
    expect(await processor.callBack(request, 'in_progress')).toBe(202);
    expect(await processor.callBack(request, 'completed')).toBe(202);
    expect(await outcome(workflow)).toBe('completed');

    const [addendum, ...more] = await addendaOf(api.system.store, certificate);
    expect(more).toEqual([]);
    expect(addendum).toMatchObject({
      kind: 'processor-receipt',
      processor: 'warehouse',
      protocol: 'opendsr',
      domain,
      request,
      status: 'completed',
      via: 'callback',
    });
    // Whoever has the addendum can verify it without us.
    const { body, signature, signedWith } = addendum as Record<string, string>;
    const bytes = Buffer.from(body ?? '', 'base64');
    const { publicKey } = new X509Certificate(signedWith ?? '');
    expect(verify('sha256', bytes, publicKey, Buffer.from(signature ?? '', 'base64'))).toBe(true);
    expect(JSON.parse(bytes.toString())).toMatchObject({ subject_request_id: request, request_status: 'completed' });

    // What remains names the account no more; only the audit log does.
    expect(JSON.stringify([addendum, await requestOf(api.system.store, request)])).not.toContain(account);
    expect(await actionsAbout(api.system.store, request)).toEqual(['processor.confirmed']);
    const page = await api.ask('GET', `/v1/processors/${String(id)}/requests`);
    expect(page.body).toMatchObject({
      items: [{ id: request, status: 'completed', attempts: 1, receipts: [{}, {}, { via: 'callback' }] }],
      nextCursor: null,
    });
  });

  it('never has the request itself stored, which its answer repeats', async () => {
    await registerOpenDsr();
    const { account, request } = await told();
    const stored = JSON.stringify((await requestOf(api.system.store, request)).receipts);
    expect(stored).not.toContain(account);
    expect(stored).not.toContain(Buffer.from(account).toString('base64').slice(0, 12));
    expect(stored).toContain('"signature"');
  });

  it('keeps the digest, not the bytes, of a callback that names the account', async () => {
    await registerOpenDsr();
    const { account, certificate, request } = await told();
    await processor.callBack(request, 'completed', { members: { controller_id: `us:${account}` } });
    const [addendum] = await addendaOf(api.system.store, certificate);
    expect(addendum).toMatchObject({ status: 'completed', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    expect(addendum).not.toHaveProperty('body');
  });

  it('is told again after failures, and then counts once', async () => {
    processor.failures = 1;
    processor.failure = 503;
    await registerOpenDsr();
    const { certificate, request, workflow } = await told('open');
    expect(await requestOf(api.system.store, request)).toMatchObject({ attempts: 1, lastError: 'HTTP 503' });
    // The next look is half a minute away; a nudge by hand brings it forward.
    await api.system.client.workflow.getHandle(workflow).signal('answered');
    await eventually('it has the request', async () => {
      return (await requestOf(api.system.store, request)).status === 'received' ? true : undefined;
    });
    expect(processor.requests()).toEqual([request]);
    await processor.callBack(request, 'completed');
    expect(await outcome(workflow)).toBe('completed');
    expect(await addendaOf(api.system.store, certificate)).toHaveLength(1);
  });

  it.each([
    ['carries no valid signature', (body: string) => body.replace('ablauf-tests', 'ablauf-tester')],
    ['is no JSON', () => '<html>'],
  ])('is not believed where its answer %s', async (_, tamper) => {
    processor.tamper = tamper;
    await registerOpenDsr();
    const { request } = await told('open');
    expect(await requestOf(api.system.store, request)).toMatchObject({
      status: 'open',
      lastError: expect.stringContaining('signature') as string,
      receipts: [],
    });
  });

  it('is asked for its state when its callback was lost, and completes by that', async () => {
    await registerOpenDsr();
    const { certificate, request, workflow } = await told();
    processor.status = 'completed';
    await api.system.client.workflow.getHandle(workflow).signal('answered');
    expect(await outcome(workflow)).toBe('completed');
    expect(await addendaOf(api.system.store, certificate)).toMatchObject([
      { via: 'status', status: 'completed', request },
    ]);
  });

  it('may sign with ECDSA, and with a certificate an administrator vouches for', async () => {
    processor.identity = await newIdentity({ keyType: 'ec' });
    await registerOpenDsr({ certificate: processor.identity.certificate });
    const { request, workflow } = await told();
    expect(await processor.callBack(request, 'completed')).toBe(202);
    expect(await outcome(workflow)).toBe('completed');
  });

  it('that renews its published certificate goes on being believed, on record', async () => {
    const { id } = await register({ name: 'renewing', kind: 'opendsr', url: processor.url });
    const { workflow } = await told();
    processor.identity = await newIdentity({ issuer: authority });
    processor.status = 'completed';
    await api.system.client.workflow.getHandle(workflow).signal('answered');
    expect(await outcome(workflow)).toBe('completed');
    const entries = await api.system.store.audit.entries.find({ 'details.processor': id }).lean().exec();
    expect(entries.map(({ action }) => action)).toContain('processor.certificate-renewed');
  });

  it('that cancels is on record as having done so', async () => {
    await registerOpenDsr();
    const { certificate, request, workflow } = await told();
    await processor.callBack(request, 'cancelled');
    expect(await outcome(workflow)).toBe('cancelled');
    expect(await addendaOf(api.system.store, certificate)).toMatchObject([{ status: 'cancelled' }]);
    expect(await actionsAbout(api.system.store, request)).toEqual(['processor.cancelled']);
  });

  it('goes on answering for what it was told after it was removed, and is told of nothing new', async () => {
    const { id } = await registerOpenDsr();
    const { request, workflow } = await told();
    await api.ask('DELETE', `/v1/processors/${String(id)}`);
    expect((await concludeFor(api.system.store, new Date())).requests).toEqual([]);
    expect(await processor.callBack(request, 'completed')).toBe(202);
    expect(await outcome(workflow)).toBe('completed');
  });
});

describe('a callback', () => {
  it('is refused unsigned, signed by another, for another domain, or altered; each refusal is audited (R19)', async () => {
    await registerOpenDsr();
    const { request, certificate } = await told();
    const stranger = await newIdentity({ issuer: authority });
    const answers = [
      await processor.callBack(request, 'completed', { unsigned: true }),
      await processor.callBack(request, 'completed', { identity: stranger }),
      await processor.callBack(request, 'completed', { domain: 'example.org' }),
      await processor.callBack(request, 'in_progress', { tamper: (body) => body.replace('in_progress', 'completed') }),
      await processor.callBack(request, 'completed', { tamper: (body) => `${body}\n` }),
    ];
    expect(answers).toEqual([401, 401, 401, 401, 401]);
    expect((await requestOf(api.system.store, request)).status).toBe('received');
    expect(await addendaOf(api.system.store, certificate)).toEqual([]);
    const actions = await actionsAbout(api.system.store, request);
    expect(actions).toEqual(Array.from({ length: 5 }, () => 'processor.callback-refused'));
  });

  it('is refused where it is about another request, or was meant for somebody else', async () => {
    await registerOpenDsr();
    const first = await told();
    const second = await told();
    const to = `${api.url}/v1/processors/callbacks/${second.request}`;
    expect(await processor.callBack(first.request, 'completed', { to })).toBe(400);
    const elsewhere = { members: { status_callback_url: 'https://example.org/callbacks' } };
    expect(await processor.callBack(first.request, 'completed', elsewhere)).toBe(400);
    expect(await processor.callBack(first.request, 'completed', { members: { request_status: 'done' } })).toBe(400);
    expect((await requestOf(api.system.store, second.request)).status).toBe('received');
    expect((await requestOf(api.system.store, first.request)).status).toBe('received');
  });

  it('to a request there is not is answered as one that is not signed, and leaves no trace', async () => {
    const path = '/v1/processors/callbacks/7b3c9c5e-0d0e-4c36-9d5f-2f1f0a3c7f11';
    const { store } = api.system;
    const before = await store.audit.entries.countDocuments();
    const unknown = await api.ask('POST', path, { key: null, raw: '{}' });
    expect(await store.audit.entries.countDocuments()).toBe(before);
    await registerOpenDsr();
    const { request } = await told();
    const unsigned = await api.ask('POST', `/v1/processors/callbacks/${request}`, { key: null, raw: '{}' });
    const said = ({ status, body: { code, detail } }: typeof unknown) => [status, code, detail];
    expect(said(unknown)).toEqual(said(unsigned));
    expect(unknown.status).toBe(401);
  });

  it('that comes again, or after the last word, changes nothing', async () => {
    await registerOpenDsr();
    const { request, certificate, workflow } = await told();
    const sent = await Promise.all([1, 2, 3].map(() => processor.callBack(request, 'completed')));
    expect(sent).toEqual([202, 202, 202]);
    await outcome(workflow);
    expect(await processor.callBack(request, 'completed')).toBe(202);
    expect(await processor.callBack(request, 'pending')).toBe(202);
    expect(await addendaOf(api.system.store, certificate)).toHaveLength(1);
    expect(await actionsAbout(api.system.store, request)).toEqual(['processor.confirmed']);
    expect((await requestOf(api.system.store, request)).status).toBe('completed');
  });

  it('that is large or packed is refused before anything is done with it', async () => {
    const path = '/v1/processors/callbacks/x';
    expect(await api.ask('POST', path, { key: null, raw: 'x'.repeat(70_000) })).toMatchObject({ status: 413 });
    const packed = { key: null, raw: 'x', headers: { 'content-encoding': 'gzip' } };
    expect(await api.ask('POST', path, packed)).toMatchObject({ status: 415 });
  });
});

describe('a webhook', () => {
  let secret: string;

  beforeEach(async () => {
    secret = String((await register({ name: 'mailer', kind: 'webhook', url: target.url }))['secret']);
  });

  function callBack(request: string, body: unknown, { at = new Date(), by = secret } = {}) {
    const raw = JSON.stringify(body);
    const headers = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(by).sign('msg_1', at, raw),
    };
    return api.ask('POST', `/v1/processors/callbacks/${request}`, { key: null, raw, headers });
  }

  it('is sent as Standard Webhooks has it, and confirms by a callback signed with the secret', async () => {
    const { account, certificate, request, workflow } = await told();
    const [sent] = target.heard;
    expect(sent?.headers['webhook-id']).toBe(request);
    expect(new Webhook(secret).verify(sent?.body ?? '', sent?.headers as Record<string, string>)).toEqual({
      type: 'erasure.requested',
      timestamp: expect.any(String) as string,
      data: { request, account, callbackUrl: `${api.url}/v1/processors/callbacks/${request}` },
    });
    expect((await callBack(request, { request, status: 'completed' })).status).toBe(202);
    expect(await outcome(workflow)).toBe('completed');
    const addenda = await addendaOf(api.system.store, certificate);
    expect(addenda).toMatchObject([{ processor: 'mailer', protocol: 'webhook', status: 'completed', via: 'callback' }]);
    expect(JSON.stringify(addenda)).not.toContain(secret.slice(6));
  });

  it('completes at once where its answer says so', async () => {
    target.answer = { status: 200, body: '{"status":"completed"}' };
    const { certificate, requests } = await concludeFor(api.system.store, new Date());
    const workflow = await seeTo(api.system.jobs, region, requests[0] ?? '');
    expect(await outcome(workflow)).toBe('completed');
    expect(await addendaOf(api.system.store, certificate)).toMatchObject([{ via: 'response', status: 'completed' }]);
  });

  it('is refused with another secret, too late, or about another request', async () => {
    const { request } = await told();
    const completed = { request, status: 'completed' };
    const other = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
    expect((await callBack(request, completed, { by: other })).status).toBe(401);
    expect((await callBack(request, completed, { at: new Date(Date.now() - 600_000) })).status).toBe(401);
    expect((await callBack(request, { request: 'another', status: 'completed' })).status).toBe(400);
    expect((await callBack(request, { request, status: 'gone' })).status).toBe(400);
    expect((await requestOf(api.system.store, request)).status).toBe('received');
  });

  it('is not followed where it redirects', async () => {
    target.answer = { status: 307, headers: { location: 'http://169.254.169.254/latest/meta-data' } };
    const { request } = await told('open');
    expect(await requestOf(api.system.store, request)).toMatchObject({
      lastError: 'answered with a redirect (HTTP 307)',
    });
  });
});
