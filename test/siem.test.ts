/** R19: what a SIEM is sent holds against the schemas it goes by: CloudEvents 1.0, and OCSF 1.8.0. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { actions, type AuditEntry } from '../src/audit';
import { toCloudEvent } from '../src/siem';

/** How much an attribute is wanted (`req`, `rec`, `opt`), its type, and the numbers it may have. */
type Attribute = readonly [string, string] | readonly [string, string, readonly number[]];

interface Shape {
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly oneOf: readonly string[] | null;
}

/** What the schema says of the classes we use, and of the objects in them. */
const schema = JSON.parse(readFileSync(join(__dirname, 'helpers', 'ocsf-1.8.0.json'), 'utf8')) as {
  readonly version: string;
  readonly classes: Readonly<Record<string, Shape & { readonly name: string; readonly category: number }>>;
  readonly objects: Readonly<Record<string, Shape>>;
};

type Json = Readonly<Record<string, unknown>>;

const primitives: Readonly<Record<string, string>> = {
  string_t: 'string',
  hostname_t: 'string',
  ip_t: 'string',
  integer_t: 'number',
  long_t: 'number',
  timestamp_t: 'number',
  boolean_t: 'boolean',
  object: 'object',
};

/** What is wrong with a value, by path. */
function faultsOf(value: Json, { attributes, oneOf }: Shape, path = ''): string[] {
  const missing = Object.entries(attributes)
    .filter(([name, [requirement]]) => requirement === 'req' && value[name] === undefined)
    .map(([name]) => `${path}/${name} is required`);
  const unmet =
    oneOf === null || oneOf.some((name) => value[name] !== undefined)
      ? []
      : [`${path} has none of ${oneOf.join(', ')}`];
  const inside = Object.entries(value).flatMap(([name, inner]): string[] => {
    const here = `${path}/${name}`;
    const [, type = '', numbers] = attributes[name] ?? [];
    const shape = schema.objects[type];
    if (shape !== undefined) return faultsOf(inner as Json, shape, here);
    if (primitives[type] === undefined) return [`${here} is not known, or of the type ${type}`];
    if (typeof inner !== primitives[type]) return [`${here} is no ${type}`];
    return numbers === undefined || numbers.includes(inner as number) ? [] : [`${here} may not be ${String(inner)}`];
  });
  return [...missing, ...unmet, ...inside];
}

const at = new Date('2026-11-23T10:00:00.000Z');
const actors: readonly AuditEntry['actor'][] = [
  { type: 'key', id: 'key_1', role: 'admin', address: '192.0.2.1' },
  { type: 'user', id: 'user_1', role: 'operator', address: '2001:db8::1' },
  { type: 'key', id: '~gone', role: 'customer' },
  { type: 'system', id: 'ablauf' },
  { type: 'system', id: 'public', address: '203.0.113.1' },
  { type: 'temporal', id: 'temporal' },
];

function eventOf(entry: Partial<AuditEntry> & Pick<AuditEntry, 'action'>, details: Json = {}) {
  const whole: AuditEntry = {
    id: 'entry-1',
    at,
    actor: { type: 'system', id: 'ablauf' },
    details: { ...details, note: 'about Ms Miller' },
    ...entry,
  };
  const event = toCloudEvent('ablauf/eu-central-1/audit', {
    entry: whole,
    facts: details,
    position: 42,
    sequencedAt: at,
  });
  return { event, data: event['data'] as Json };
}

function check(event: Json, data: Json): void {
  const { class_uid: uid, activity_id: activity, category_uid: category, type_uid: type } = data;
  const shape = schema.classes[String(uid)];
  if (shape === undefined) throw new Error(`there is no class ${String(uid)}`);
  expect(faultsOf(data, shape)).toEqual([]);
  expect([category, type]).toEqual([shape.category, Number(uid) * 100 + Number(activity)]);
  expect((data['metadata'] as Json)['version']).toBe(schema.version);
  // What an activity OCSF has no number for is, its name has to say.
  if (activity === 99) expect(data['activity_name']).toBe((data['metadata'] as Json)['event_code']);
  // CloudEvents: these have to be there, and attributes are named in lower case.
  for (const name of ['specversion', 'id', 'source', 'type']) expect(event[name]).toEqual(expect.stringMatching(/./));
  for (const name of Object.keys(event)) expect(name).toMatch(/^[a-z0-9]{1,20}$/);
  expect(event['specversion']).toBe('1.0');
  expect(new Date(String(event['time'])).toISOString()).toBe(event['time']);
  expect(event['dataschema']).toBe(`https://schema.ocsf.io/${schema.version}/classes/${shape.name}`);
}

describe('every action', () => {
  test.each(actions)('R19: %s is a valid event, whoever did it', (action) => {
    for (const actor of actors) {
      for (const account of [{}, { account: 'acct-1' }]) {
        const details = { reason: 'role', method: 'POST', path: '/v1/accounts', hold: { id: 'hold-1' } };
        for (const facts of [{}, details]) {
          const { event, data } = eventOf({ action, actor, requestId: 'r-1', ...account }, facts);
          check(event, data);
          expect(event).toMatchObject({
            id: 'entry-1',
            source: '/ablauf/eu-central-1/audit',
            type: `ablauf.${action}`,
          });
          expect(JSON.stringify(event)).not.toContain('Miller');
        }
      }
    }
  });

  test('R19: one nobody has declared is an event all the same', () => {
    const { event, data } = eventOf({ action: 'account.something-new' });
    check(event, data);
    expect(data).toMatchObject({ class_uid: 6003, activity_id: 99, activity_name: 'account.something-new' });
  });
});

describe('what a SIEM looks for', () => {
  test.each([
    ['account.suspended', {}, { class_uid: 3004, activity_id: 12, entity: { type_id: 4, uid: 'acct-1' } }],
    [
      'hold.placed',
      { hold: { id: 'h' } },
      { class_uid: 3004, activity_id: 1, entity: { type: 'Legal hold', uid: 'h' } },
    ],
    ['key.revoked', { key: 'key_9' }, { class_uid: 3001, activity_id: 5, user: { uid: 'key_9' } }],
    ['auth.signed-in', {}, { class_uid: 3002, activity_id: 1, status_id: 1 }],
    ['records.read', {}, { class_uid: 6005, activity_id: 1, database: { type_id: 6 } }],
    [
      'auth.refused',
      { reason: 'unknown-key' },
      { class_uid: 3002, activity_id: 1, status_id: 2, status_detail: 'unknown-key' },
    ],
    [
      'auth.refused',
      { reason: 'role', method: 'DELETE', path: '/v1/api-keys/:id' },
      { class_uid: 6003, activity_id: 4, status_id: 2, api: { operation: 'DELETE /v1/api-keys/:id' } },
    ],
  ] as const)('R19: %s %j', (action, facts, expected) => {
    const { event, data } = eventOf(
      { action, account: 'acct-1', actor: { type: 'key', id: 'k', address: '192.0.2.1' } },
      facts,
    );
    check(event, data);
    expect(data).toMatchObject({ ...expected, src_endpoint: { ip: '192.0.2.1' }, time: at.getTime() });
    expect(event).toMatchObject({ subject: 'acct-1', sequence: '000000000000042' });
  });

  test('R19: many refusals in one entry are one event that says how many, from when to when', () => {
    const [from, to] = ['2026-11-23T09:59:00.000Z', '2026-11-23T09:59:59.000Z'];
    const { event, data } = eventOf({ action: 'auth.refused' }, { reason: 'unknown-key', count: 900, from, to });
    check(event, data);
    const start_time = Date.parse(from);
    expect(data).toMatchObject({ count: 900, start_time, end_time: Date.parse(to), time: start_time, severity_id: 3 });
  });
});
