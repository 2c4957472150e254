/** What needs a second person by configuration: asking, agreeing, and being done once. */
import type { DangerousAct } from '../src/access';
import { startApi, type Answered, type Api, type Asked } from './helpers/api';
import { flawsIn, complete } from './helpers/configuration';

let api: Api;
/** Broken right before what was agreed to is done. */
let breaks = false;
const guarded: readonly DangerousAct[] = ['holds', 'reopen', 'settings', 'close'];

beforeAll(async () => {
  api = await startApi({
    dependencies: (given) => ({
      ...given,
      secondPerson: guarded,
      courses: {
        ...given.courses,
        send: (...message) => {
          if (breaks) return Promise.reject(new Error('the process is gone'));
          return given.courses.send(...message);
        },
      },
    }),
  });
}, 120_000);
afterAll(() => api.stop());

const policy = { gracePeriod: 'P20D' };
const change = (asked: Asked = {}) => api.ask('PUT', '/v1/settings/policy', { body: policy, ...asked });
const named = (approval: string, more: Readonly<Record<string, string>> = {}) => ({
  headers: { 'ablauf-approval': approval, ...more },
});
const idOf = ({ body }: Answered) => String((body['approval'] as { id: string } | undefined)?.id);
const decide = (id: string, key: string, how = 'approve') => api.ask('POST', `/v1/approvals/${id}/${how}`, { key });
const needed = { status: 403, body: { code: 'approval-required' } };

/** Two people with keys nobody else has made: they come from the deployment's own. */
async function people(): Promise<{ asker: string; approver: string }> {
  return { asker: await api.keyFor('admin'), approver: await api.keyFor('admin') };
}

async function actionsOf(approval: string): Promise<string[]> {
  const { body } = await api.ask('GET', '/v1/audit?limit=1000');
  const entries = body['items'] as { action: string; details: Record<string, unknown> }[];
  return entries.filter(({ details }) => details['approval'] === approval).map(({ action }) => action);
}

describe('an act that needs a second person', () => {
  it('is done once another one has agreed, once, and all of it is on record', async () => {
    const { asker, approver } = await people();
    const refused = await change({ key: asker });
    expect(refused).toMatchObject(needed);
    const id = idOf(refused);
    expect(await api.ask('GET', `/v1/approvals/${id}`, { key: approver })).toMatchObject({
      status: 200,
      body: { act: 'settings', method: 'PUT', path: '/v1/settings/policy', body: policy, status: 'asked' },
    });
    expect(await change({ key: asker, ...named(id) })).toMatchObject(needed);
    expect(await decide(id, approver)).toMatchObject({ status: 200, body: { status: 'approved' } });
    const done = await change({ key: asker, ...named(id) });
    expect(done).toMatchObject({ status: 200, body: policy });
    // The very same request again is answered again; any other attempt has to be agreed to anew.
    expect((await change({ key: asker, ...named(id) })).headers.get('etag')).toBe(done.headers.get('etag'));
    expect(await change({ key: asker, ...named(id, { 'idempotency-key': 'another-attempt' }) })).toMatchObject(needed);
    expect((await actionsOf(id)).sort()).toEqual(['approval.granted', 'approval.requested', 'approval.used']);
  });

  it('is asked for once, however often it is tried', async () => {
    const { asker } = await people();
    const tries = [await change({ key: asker }), await change({ key: asker }), await change({ key: asker })];
    expect(new Set(tries.map(idOf)).size).toBe(1);
    expect(await actionsOf(idOf(tries[0] ?? (await change())))).toEqual(['approval.requested']);
  });

  it('is that very act: another body, path or asker is another one', async () => {
    const { asker, approver } = await people();
    const id = idOf(await change({ key: asker }));
    await decide(id, approver);
    expect(await change({ key: asker, body: { gracePeriod: 'P1D' }, ...named(id) })).toMatchObject(needed);
    expect(await change({ key: approver, ...named(id) })).toMatchObject(needed);
    expect(await change({ key: asker, ...named('apr_000000000000000000000000') })).toMatchObject(needed);
    expect(await change({ key: asker, ...named('nonsense') })).toMatchObject({ status: 400 });
    expect(await change({ key: asker, ...named(id) })).toMatchObject({ status: 200 });
  });

  it('is agreed to by nobody who may be the same person', async () => {
    const { asker, approver } = await people();
    const made = async (by: string) => {
      const body = { role: 'admin', scopes: ['settings', 'keys'] };
      return String((await api.ask('POST', '/v1/api-keys', { key: by, body })).body['key']);
    };
    const [child, sibling] = [await made(asker), await made(asker)];
    const [grandchild, stranger] = [await made(child), await made(approver)];
    const id = idOf(await change({ key: child }));
    for (const key of [child, asker, sibling, grandchild]) {
      expect(await decide(id, key)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    }
    // Nor by the deployment's own key, which made the asker's in the end.
    expect(await api.ask('POST', `/v1/approvals/${id}/approve`)).toMatchObject({ status: 403 });
    const { body } = await api.ask('GET', '/v1/api-keys?limit=1000');
    const items = body['items'] as { id: string; createdBy: string }[];
    expect(items.length).toBeGreaterThan(4);
    expect(await decide(id, stranger)).toMatchObject({ status: 200 });
  });

  it('is agreed to by those alone who may do it themselves, with the scope it takes', async () => {
    const { asker } = await people();
    const id = idOf(await change({ key: asker }));
    for (const key of [
      await api.keyFor('legal'),
      await api.keyFor('auditor'),
      await api.keyFor('admin', undefined, undefined, ['keys']),
    ]) {
      expect(await decide(id, key)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    }
    expect(await decide(id, await api.keyFor('operator'))).toMatchObject({ status: 200 });
  });

  it('is not done once somebody has said no, or its day is over', async () => {
    const { asker, approver } = await people();
    const id = idOf(await change({ key: asker }));
    expect(await decide(id, approver, 'reject')).toMatchObject({ status: 200, body: { status: 'rejected' } });
    expect(await decide(id, approver)).toMatchObject({ status: 409 });
    expect(await change({ key: asker, ...named(id) })).toMatchObject(needed);
    const other = idOf(await change({ key: asker }));
    expect(other).not.toBe(id);
    await decide(other, approver);
    const stored = api.system.store.connection.collection<{ _id: string }>('approvals');
    await stored.updateOne({ _id: other }, { $set: { expiresAt: new Date(Date.now() - 1) } });
    expect(await change({ key: asker, ...named(other) })).toMatchObject(needed);
  });

  it('survives a crash between being used and being done: the same attempt goes on, no other may', async () => {
    const { asker, approver } = await people();
    const id = await api.system.createAccount();
    const hold = await api.ask('POST', `/v1/accounts/${id}/holds`, { key: asker, body: { reason: 'a case' } });
    expect(hold.status).toBe(201);
    const release = (headers: Readonly<Record<string, string>>) =>
      api.ask('DELETE', `/v1/accounts/${id}/holds/${String(hold.body['id'])}`, { key: asker, headers });
    const same = { 'idempotency-key': `release-${id}` };
    const approval = idOf(await release(same));
    await decide(approval, approver);
    breaks = true;
    expect((await release({ ...same, 'ablauf-approval': approval })).status).toBeGreaterThanOrEqual(500);
    breaks = false;
    expect(await release({ 'ablauf-approval': approval })).toMatchObject(needed);
    const done = await Promise.all([1, 2, 3].map(() => release({ ...same, 'ablauf-approval': approval })));
    expect(done.map(({ status }) => status)).toEqual([204, 204, 204]);
    const actions = await api.system.actions(id);
    expect(actions.filter((action) => action === 'hold.released')).toHaveLength(1);
    expect(actions.filter((action) => action === 'approval.used')).toHaveLength(1);
  });

  it('is done once, however many attempts come at the same moment', async () => {
    const { asker, approver } = await people();
    const id = idOf(await change({ key: asker }));
    await decide(id, approver);
    const tries = await Promise.all(
      [1, 2, 3, 4].map((n) => change({ key: asker, ...named(id, { 'idempotency-key': `at-once-${id}-${n}` }) })),
    );
    expect(tries.map(({ status }) => status).sort()).toEqual([200, 403, 403, 403]);
  });

  it('R2: is never a customer’s own closure', async () => {
    const id = await api.system.createAccount();
    const key = await api.keyFor('customer', id);
    expect(await api.ask('POST', `/v1/accounts/${id}/close`, { key })).toMatchObject({ status: 200 });
    const theirs = await api.system.createAccount();
    expect(await api.ask('POST', `/v1/accounts/${theirs}/close`)).toMatchObject(needed);
    expect(await api.ask('GET', `/v1/accounts/${theirs}`)).toMatchObject({ body: { state: 'active' } });
  });

  it('is shown in a list, its words encrypted where they are stored', async () => {
    const id = await api.system.createAccount();
    const note = 'words of somebody about a customer';
    const refused = await api.ask('POST', `/v1/accounts/${id}/close`, { body: { note } });
    const listed = await api.ask('GET', '/v1/approvals?limit=1000', { key: await api.keyFor('auditor') });
    const items = listed.body['items'] as { id: string }[];
    expect(items.find((item) => item.id === idOf(refused))).toMatchObject({ account: id, body: { note } });
    const stored = await api.system.store.connection.collection('approvals').find().toArray();
    expect(JSON.stringify(stored)).not.toContain(note);
  });

  it('is nothing that was not configured', async () => {
    expect(await api.ask('POST', '/v1/api-keys', { body: { role: 'gateway' } })).toMatchObject({ status: 201 });
  });
});

describe('ABLAUF_SECOND_PERSON', () => {
  it('names acts, and nothing else', () => {
    expect(flawsIn({ ...complete, ABLAUF_SECOND_PERSON: 'holds, keys,erasure-release' })).toEqual([]);
    const [flaw] = flawsIn({ ...complete, ABLAUF_SECOND_PERSON: 'holds,everything' });
    expect(flaw).toMatch(/^ABLAUF_SECOND_PERSON: must be of holds, reopen, keys, settings, close, erasure-release/);
  });
});
