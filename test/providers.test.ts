/** R24: the register of providers, over the API: what it takes and refuses, who may, what is on record, and what customers see. */
import { startApi, type Answered, type Api } from './helpers/api';
import { document, providerEntry } from './helpers/providers';

let api: Api;

beforeAll(async () => {
  api = await startApi();
}, 120_000);
afterAll(() => api.stop());

afterEach(async () => {
  for (const { id } of items(await api.ask('GET', '/v1/providers?limit=1000'))) {
    await api.ask('DELETE', `/v1/providers/${String(id)}`);
  }
});

function items({ body }: Answered): Record<string, unknown>[] {
  return body['items'] as Record<string, unknown>[];
}

async function enter(name: string, change: Record<string, unknown> = {}): Promise<Answered> {
  const made = await api.ask('POST', '/v1/providers', { body: providerEntry(name, change) });
  if (made.status !== 201) throw new Error(made.text);
  return made;
}

async function entriesOf(id: unknown) {
  const { audit } = api.system.store;
  const found = await audit.entries.find({ 'details.provider': id }).sort({ at: 1 }).lean().exec();
  return audit.reveal(found);
}

describe('entries', () => {
  it('are kept as they were written, with their status, a version, and who took the document in', async () => {
    const made = await enter('Database host');
    expect(made.body).toMatchObject({
      ...providerEntry('Database host'),
      id: expect.stringMatching(/^prov_[0-9a-f]{24}$/) as string,
      draft: false,
      status: 'complete',
      version: 1,
      disclosure: { givenOn: '2026-02-03', document, takenInBy: 'bootstrap' },
    });
    expect(made.headers.get('etag')).toBe('"1"');
    const read = await api.ask('GET', `/v1/providers/${String(made.body['id'])}`);
    expect([read.status, read.body, read.headers.get('etag')]).toEqual([200, made.body, '"1"']);
    expect(items(await api.ask('GET', '/v1/providers'))).toEqual([made.body]);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['no name', { name: undefined }, 'name'],
    ['a name with control characters', { name: 'a\u0000b' }, 'name'],
    ['no purpose', { purposes: [] }, 'purposes'],
    ['a purpose in one of the languages only', { purposes: [{ en: 'x' }] }, 'purposes.0'],
    ['a category the data map does not know', { stores: ['dreams'] }, 'stores.0'],
    ['a category twice', { stores: ['logs', 'logs'] }, 'stores'],
    ['neither storing nor processing', { stores: [], processes: [] }, 'stores'],
    ['no place', { locations: [] }, 'locations'],
    ['a country that is none', { locations: [{ site: 'x', country: 'Germany' }] }, 'locations.0.country'],
    ['no encryption at rest', { encryption: { inTransit: 'TLS' } }, 'encryption.atRest'],
    ['no encryption in transit', { encryption: { atRest: 'AES' } }, 'encryption.inTransit'],
    ['no access control', { accessControl: '  ' }, 'accessControl'],
    ['no certifications, not even none', { certifications: undefined }, 'certifications'],
    [
      'a certification until no day',
      { certifications: [{ name: 'ISO', until: '2026-02-30' }] },
      'certifications.0.until',
    ],
    ['nothing about sub-processors', { subprocessors: undefined }, 'subprocessors'],
    [
      'a list at an address that could be a script',
      { subprocessors: { names: [], listedAt: 'javascript:alert(1)' } },
      'subprocessors.listedAt',
    ],
    [
      'a password in an address',
      { subprocessors: { names: [], listedAt: 'https://a:b@example.org' } },
      'subprocessors.listedAt',
    ],
    ['no terms of deletion', { deletion: undefined }, 'deletion'],
    ['no terms of backups', { backups: undefined }, 'backups'],
    ['no contact', { contact: {} }, 'contact'],
    ['a disclosure given without a document', { disclosure: { givenOn: '2026-01-05' } }, 'disclosure.document'],
    ['a document of a disclosure not given', { disclosure: { askedOn: '2026-01-05', document } }, 'disclosure.givenOn'],
    [
      'a disclosure given before it was asked for',
      { disclosure: { askedOn: '2026-01-05', givenOn: '2026-01-04', document } },
      'disclosure.givenOn',
    ],
    ['a disclosure given in the future', { disclosure: { givenOn: '2089-01-01', document } }, 'disclosure.givenOn'],
    [
      'a document of the future',
      { disclosure: { givenOn: '2026-01-05', document: { ...document, date: '2089-01-01' } } },
      'disclosure.document.date',
    ],
    [
      'a digest that is none',
      { disclosure: { givenOn: '2026-01-05', document: { ...document, sha256: 'abc' } } },
      'disclosure.document.sha256',
    ],
    ['an empty disclosure', { disclosure: {} }, 'disclosure.askedOn'],
    ['no next review of what was given', { nextReview: undefined }, 'nextReview'],
    ['a review before the disclosure', { nextReview: '2026-02-03' }, 'nextReview'],
    ['a draft whose disclosure was given', { draft: true }, 'draft'],
    ['a member nobody knows', { rating: 5 }, ''],
  ])('are refused with %s, by name, and nothing is stored', async (_, change, path) => {
    const { status, body } = await api.ask('POST', '/v1/providers', { body: providerEntry('Refused', change) });
    const errors = body['errors'] as { path: string }[];
    expect([status, body['code'], errors.map((error) => error.path)]).toEqual([
      400,
      'validation',
      expect.arrayContaining([path]),
    ]);
    expect(items(await api.ask('GET', '/v1/providers'))).toEqual([]);
  });

  it('share no name, also where two are entered at one moment; a removed one frees its own', async () => {
    const both = await Promise.all(
      ['a', 'b'].map(() => api.ask('POST', '/v1/providers', { body: providerEntry('Twice') })),
    );
    expect(both.map(({ status }) => status).sort()).toEqual([201, 409]);
    const first = both.find(({ status }) => status === 201)?.body['id'];
    const other = await enter('Once');
    const renamed = await api.ask('PUT', `/v1/providers/${String(other.body['id'])}`, { body: providerEntry('Twice') });
    expect([renamed.status, renamed.body['code']]).toEqual([409, 'conflict']);
    expect((await api.ask('DELETE', `/v1/providers/${String(first)}`)).status).toBe(204);
    expect((await api.ask('DELETE', `/v1/providers/${String(first)}`)).status).toBe(404);
    expect((await api.ask('GET', `/v1/providers/${String(first)}`)).status).toBe(404);
    await enter('Twice');
  });

  it('are replaced by whoever has seen them as they are, and by nobody else', async () => {
    const { body } = await enter('Cloud');
    const path = `/v1/providers/${String(body['id'])}`;
    const changed = providerEntry('Cloud', { deletion: 'within an hour' });
    const put = (tag: string) => api.ask('PUT', path, { body: changed, headers: { 'if-match': tag } });
    expect(await put('"7"')).toMatchObject({ status: 412, body: { code: 'precondition-failed' } });
    const done = await put('"1"');
    expect([done.status, done.body['version'], done.body['deletion'], done.headers.get('etag')]).toEqual([
      200,
      2,
      'within an hour',
      '"2"',
    ]);
    expect(await put('"1"')).toMatchObject({ status: 412 });
    expect(await put('"2"')).toMatchObject({ status: 200, body: { version: 2 } });
    const gone = await api.ask('DELETE', path, { headers: { 'if-match': '"1"' } });
    expect(gone).toMatchObject({ status: 412 });
  });

  it('happen once for one Idempotency-Key', async () => {
    const ask = () =>
      api.ask('POST', '/v1/providers', { body: providerEntry('Repeated'), headers: { 'idempotency-key': 'one' } });
    const [first, second] = [await ask(), await ask()];
    expect([first.status, second.status, second.body]).toEqual([201, 201, first.body]);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(await entriesOf(first.body['id'])).toHaveLength(1);
  });

  it('come in pages', async () => {
    for (const name of ['One', 'Two', 'Three']) await enter(name);
    for (const path of ['/v1/providers', '/v1/providers/public']) {
      const first = await api.ask('GET', `${path}?limit=2`);
      const rest = await api.ask('GET', `${path}?limit=2&cursor=${String(first.body['nextCursor'])}`);
      expect(rest.body['nextCursor']).toBeNull();
      expect([...items(first), ...items(rest)].map(({ name }) => name).sort()).toEqual(['One', 'Three', 'Two']);
      expect((await api.ask('GET', `${path}?cursor=abc`)).status).toBe(400);
    }
  });

  it('are read by those who may, written by administrators, and with what a key needs for settings', async () => {
    const { body } = await enter('Roles');
    const own = `/v1/providers/${String(body['id'])}`;
    for (const role of ['operator', 'auditor', 'legal', 'gateway'] as const) {
      const key = await api.keyFor(role);
      const read = role === 'gateway' ? 403 : 200;
      for (const path of ['/v1/providers', own, '/v1/providers/starters', '/v1/providers/report']) {
        expect([role, path, (await api.ask('GET', path, { key })).status]).toEqual([role, path, read]);
      }
      expect((await api.ask('POST', '/v1/providers', { key, body: providerEntry('X') })).status).toBe(403);
      expect((await api.ask('PUT', own, { key, body: providerEntry('X') })).status).toBe(403);
      expect((await api.ask('DELETE', own, { key })).status).toBe(403);
    }
    const writes = api.routes.filter(({ path, method }) => path.startsWith('/v1/providers') && method !== 'get');
    expect(writes.map(({ stepUp }) => stepUp)).toEqual(['settings', 'settings', 'settings', 'settings']);
  });
});

describe('the record', () => {
  it('R19: has each change with before and after, and neither whom to ask nor what is noted', async () => {
    const { body } = await enter('Audited');
    const path = `/v1/providers/${String(body['id'])}`;
    const change = { deletion: 'within an hour', contact: { email: 'other@example.org' }, notes: undefined };
    await api.ask('PUT', path, { body: providerEntry('Audited', change) });
    await api.ask('PUT', path, { body: providerEntry('Audited', change) });
    await api.ask('DELETE', path);
    const entries = await entriesOf(body['id']);
    expect(entries.map(({ action }) => action)).toEqual(['provider.created', 'provider.updated', 'provider.deleted']);
    expect(entries[0]).toMatchObject({
      actor: { id: 'bootstrap', address: '127.0.0.1' },
      details: { name: 'Audited', after: { deletion: 'within 24 hours' }, withheld: ['contact', 'notes'] },
    });
    expect(entries[1]?.details).toEqual({
      provider: body['id'],
      name: 'Audited',
      before: { deletion: 'within 24 hours' },
      after: { deletion: 'within an hour' },
      withheld: ['contact', 'notes'],
    });
    expect(entries[2]).toMatchObject({ details: { before: { deletion: 'within an hour' } } });
    expect(JSON.stringify(entries)).not.toMatch(/Petra|petra@|other@|discount/);
  });

  it('R21: stores whom to ask and what is noted encrypted, and neither once the entry is removed', async () => {
    const { body } = await enter('Encrypted');
    const stored = () =>
      api.system.store.connection.collection<{ _id: string }>('providers').findOne({ _id: String(body['id']) });
    expect(JSON.stringify(await stored())).not.toMatch(/Petra|petra@|discount/);
    expect(await stored()).toMatchObject({ contact: { sub_type: 0 }, notes: { sub_type: 0 } });
    await api.ask('DELETE', `/v1/providers/${String(body['id'])}`);
    expect(await stored()).toMatchObject({ name: 'Encrypted', removedAt: expect.any(Date) as Date });
    expect(await stored()).not.toHaveProperty('contact');
    expect(await stored()).not.toHaveProperty('notes');
  });

  it('says who took a document in, until there is another one', async () => {
    const { body } = await enter('Taken');
    const path = `/v1/providers/${String(body['id'])}`;
    const key = await api.keyFor('admin');
    const put = async (change: Record<string, unknown>) =>
      (await api.ask('PUT', path, { key, body: providerEntry('Taken', change) })).body['disclosure'];
    expect(await put({ deletion: 'later' })).toMatchObject({ takenInBy: 'bootstrap' });
    const newer = { givenOn: '2026-03-03', document: { ...document, sha256: 'ab'.repeat(32) } };
    expect(await put({ disclosure: newer })).toMatchObject({
      takenInBy: expect.stringMatching(/^key_/) as string,
      document: { sha256: 'ab'.repeat(32) },
    });
  });
});

describe('what customers see', () => {
  it('is everything but whom to ask, what is noted, the document’s place, and who did what', async () => {
    await enter('Shown');
    const { status, body, text } = await api.ask('GET', '/v1/providers/public', { key: null });
    expect(status).toBe(200);
    const { contact: _c, notes: _n, disclosure: _d, ...told } = providerEntry('Shown');
    expect(body).toEqual({
      items: [
        {
          ...told,
          draft: false,
          disclosure: { status: 'complete', givenOn: '2026-02-03', documentDate: '2026-02-01' },
        },
      ],
      nextCursor: null,
    });
    expect(text).not.toMatch(/Petra|example\.org\/trust|disclosure\.pdf|discount|bootstrap|prov_/);
  });

  it('is of a draft no more than that there is such a provider, what for and where', async () => {
    await enter('Unchecked', { draft: true, disclosure: undefined, nextReview: undefined });
    const [shown] = items(await api.ask('GET', '/v1/providers/public', { key: null }));
    expect(Object.keys(shown ?? {}).sort()).toEqual([
      'disclosure',
      'draft',
      'locations',
      'name',
      'processes',
      'purposes',
      'stores',
    ]);
    expect(shown).toMatchObject({ draft: true, disclosure: { status: 'missing' } });
  });

  it('is not to be written to', async () => {
    for (const path of ['/v1/providers/public', '/providers']) {
      for (const method of ['PUT', 'DELETE', 'PATCH', 'POST']) {
        const { status, headers } = await api.ask(method, path, { key: null });
        expect([method, path, status, headers.get('allow')]).toEqual([method, path, 405, 'GET, HEAD']);
      }
    }
  });
});

describe('starters', () => {
  it('become drafts to be checked, at the sites asked for, with their disclosures missing', async () => {
    const { body } = await api.ask('GET', '/v1/providers/starters');
    expect((body['items'] as { id: string }[]).map(({ id }) => id)).toEqual(['aws', 'gcp', 'neon', 'mongodb-atlas']);
    const made = await api.ask('POST', '/v1/providers/starters', {
      body: { providers: ['aws', 'mongodb-atlas'], sites: ['us-west-1', 'us-east-1'] },
    });
    expect([made.status, items(made).length]).toEqual([201, 2]);
    for (const draft of items(made)) {
      expect(draft).toMatchObject({
        draft: true,
        status: 'missing',
        locations: [{ country: 'US' }, { country: 'US' }],
      });
      expect(draft).not.toHaveProperty('disclosure');
      expect(await entriesOf(draft['id'])).toMatchObject([{ action: 'provider.created' }]);
      // A draft is an entry like any other: it can be sent back as it came, but for what the register adds.
      const { id, status: _s, version: _v, createdAt: _c, updatedAt: _u, ...entry } = draft;
      const put = await api.ask('PUT', `/v1/providers/${String(id)}`, { body: entry });
      expect([put.status, put.body]).toEqual([200, draft]);
    }
  });

  it('are entered all or none: not where one of the name is there, nor at a site the provider is not known at', async () => {
    await enter('Google Cloud');
    const start = (providers: string[], sites: string[]) =>
      api.ask('POST', '/v1/providers/starters', { body: { providers, sites } });
    expect(await start(['aws', 'gcp'], ['eu-central-1'])).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(await start(['aws', 'gcp'], ['us-east-1'])).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'sites', detail: 'gcp is not known at us-east-1' }] },
    });
    expect(await start(['ibm'], ['eu-central-1'])).toMatchObject({ status: 400 });
    expect(await start(['aws'], ['mars'])).toMatchObject({ status: 400 });
    expect(await start(['aws', 'aws'], ['eu-central-1'])).toMatchObject({ status: 400 });
    expect(items(await api.ask('GET', '/v1/providers')).map(({ name }) => name)).toEqual(['Google Cloud']);
  });
});
