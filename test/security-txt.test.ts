/** R30: how to report a vulnerability is stated where people look for it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ConfigError, readConfig } from '../src/config';
import { startApi, type Api } from './helpers/api';
import { complete } from './helpers/configuration';

const path = '/.well-known/security.txt';

describe('with a contact', () => {
  let api: Api;
  beforeAll(async () => {
    const { security } = readConfig({
      ...complete,
      ABLAUF_SECURITY_CONTACT: 'mailto:security@example.org, https://example.org/report',
      ABLAUF_SECURITY_POLICY: 'https://example.org/security',
      ABLAUF_PUBLIC_URL: 'https://ablauf.example.org',
    });
    if (security === undefined) throw new Error('somebody is named');
    api = await startApi({ dependencies: (given) => ({ ...given, security }) });
  });
  afterAll(() => api.stop());

  test('anybody reads whom to tell, in the form of RFC 9116, valid for less than a year', async () => {
    const said = await api.ask('GET', path, { key: null });
    expect(said.status).toBe(200);
    expect(said.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    const fields = said.text
      .trimEnd()
      .split('\n')
      .map((line) => /^([A-Za-z-]+): (\S.*)$/.exec(line)?.slice(1) ?? [line]);
    const expires = fields.find(([name]) => name === 'Expires')?.[1] ?? '';
    expect(fields).toEqual([
      ['Contact', 'mailto:security@example.org'],
      ['Contact', 'https://example.org/report'],
      ['Expires', expires],
      ['Policy', 'https://example.org/security'],
      ['Preferred-Languages', 'en, de'],
      ['Canonical', 'https://ablauf.example.org/.well-known/security.txt'],
    ]);
    expect(expires).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const ahead = Date.parse(expires) - Date.now();
    expect(ahead).toBeGreaterThan(90 * 86_400_000);
    expect(ahead).toBeLessThan(365 * 86_400_000);
  });
});

describe('without one', () => {
  let api: Api;
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(() => api.stop());

  test('there is no such file: a wrong contact would be worse than none', async () => {
    const said = await api.ask('GET', path, { key: null });
    expect([said.status, said.body['code']]).toEqual([404, 'not-found']);
  });
});

test.each(['security@example.org', 'http://example.org/report', 'mailto:', ' , ', 'mailto:a@b.example\nExpires: x'])(
  'a contact that is no address to write to is refused at start: %j',
  (contact) => {
    expect(() => readConfig({ ...complete, ABLAUF_SECURITY_CONTACT: contact })).toThrow(ConfigError);
    expect(() => readConfig({ ...complete, ABLAUF_SECURITY_CONTACT: contact })).toThrow('ABLAUF_SECURITY_CONTACT');
  },
);

test('SECURITY.md says how to report, in what time we answer, and what is in scope', () => {
  const text = readFileSync(join(__dirname, '..', 'SECURITY.md'), 'utf8');
  for (const heading of ['## Reporting', '## Supported versions', '## Scope']) expect(text).toContain(heading);
  expect(text).toContain('security.txt');
});
