import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { configurationPage, currentPage } from '../scripts/configuration-docs';
import { readConfig } from '../src/config';
import { complete, flawsIn } from './helpers/configuration';

/** Everything that is wrong with an environment, in one text. */
const refusalOf = (environment: Record<string, string>) => flawsIn(environment).join('\n');

describe('the master key', () => {
  const { LITELLM_MASTER_KEY: _text, ...without } = complete;
  const arn = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';

  test('R21: is a text, a key of AWS KMS, or both while keys move from one to the other', () => {
    expect(readConfig(complete).vault).toMatchObject({ kms: { key: undefined, previous: [] } });
    expect(readConfig({ ...without, ABLAUF_KMS_KEY: arn }).vault).toMatchObject({
      masterKey: undefined,
      kms: { key: arn },
    });
    expect(readConfig({ ...complete, ABLAUF_KMS_KEY_PREVIOUS: `${arn}, alias/before` }).vault).toMatchObject({
      masterKey: complete.LITELLM_MASTER_KEY,
      kms: { key: undefined, previous: [arn, 'alias/before'] },
    });
  });

  test('R21: the next one is a text or a key of AWS KMS, whichever is in use, and not both', () => {
    const next = 'sk-the-next-master-key-of-some-length';
    expect(readConfig({ ...complete, LITELLM_MASTER_KEY_NEXT: next }).vault).toMatchObject({
      next,
      kms: { next: undefined },
    });
    expect(readConfig({ ...complete, ABLAUF_KMS_KEY_NEXT: arn }).vault).toMatchObject({ kms: { next: arn } });
    expect(readConfig({ ...without, ABLAUF_KMS_KEY: arn, LITELLM_MASTER_KEY_NEXT: next }).vault).toMatchObject({
      next,
    });
    expect(refusalOf({ ...complete, LITELLM_MASTER_KEY_NEXT: next, ABLAUF_KMS_KEY_NEXT: arn })).toContain(
      'LITELLM_MASTER_KEY_NEXT: is given, and so is ABLAUF_KMS_KEY_NEXT',
    );
    expect(refusalOf({ ...complete, LITELLM_MASTER_KEY_NEXT: 'short' })).toContain(
      'LITELLM_MASTER_KEY_NEXT: must have at least 20 characters',
    );
    expect(refusalOf({ ...complete, ABLAUF_KMS_KEY_NEXT: 'short' })).toContain('ABLAUF_KMS_KEY_NEXT: must be the ARN');
  });

  test('R21: missing altogether is told, also where only an earlier one is given', () => {
    const missing = 'LITELLM_MASTER_KEY: is missing, and so is ABLAUF_KMS_KEY';
    expect(refusalOf(without)).toContain(missing);
    expect(refusalOf({ ...without, ABLAUF_KMS_KEY: '', ABLAUF_KMS_KEY_PREVIOUS: arn })).toContain(missing);
  });

  test.each([
    'alias/ablauf',
    'arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/team/ablauf',
    '1234abcd-12ab-34cd-56ef-1234567890ab',
    'arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab',
  ])('%s names a key of AWS KMS', (key) => {
    expect(readConfig({ ...without, ABLAUF_KMS_KEY: key }).vault.kms.key).toBe(key);
  });

  test.each([
    'ablauf',
    'arn:aws:s3:::bucket',
    'arn:aws:kms:eu-central-1:1:key/x',
    'alias/',
    'alias/a b',
    `${arn},${arn}`,
  ])('%s does not', (key) => {
    expect(refusalOf({ ...complete, ABLAUF_KMS_KEY: key })).toContain('ABLAUF_KMS_KEY: must be the ARN');
    expect(refusalOf({ ...complete, ABLAUF_KMS_KEY_PREVIOUS: `${key}, ` })).toContain('ABLAUF_KMS_KEY_PREVIOUS: must');
  });
});

describe('readConfig', () => {
  test('fills in the promised defaults: 14 days of grace, 30 of expiry, 7 of notice', () => {
    expect(readConfig(complete)).toMatchObject({
      region: 'eu-central-1',
      port: 3000,
      settings: { gracePeriod: 'P14D', expiryPeriod: 'P30D', notice: 'P7D', minPeriod: 'PT1M' },
      temporal: { namespace: 'default', taskQueue: 'ablauf-eu-central-1' },
    });
  });

  test('names every missing variable at once', () => {
    const message = refusalOf({});
    for (const name of Object.keys(complete)) expect(message).toContain(`${name}: is missing`);
  });

  test.each([
    ['ABLAUF_PORT', '70000'],
    ['ABLAUF_REGION', 'mars-north-1'],
    ['ABLAUF_GRACE_PERIOD', 'P1M'],
    ['ABLAUF_GRACE_PERIOD', 'PT5S'],
    ['ABLAUF_EXPIRY_PERIOD', 'P3651D'],
    ['ABLAUF_MONGODB_URI', 'http://127.0.0.1'],
    ['ABLAUF_ACCOUNT_FIELD', 'metadata..org'],
    ['ABLAUF_MIN_PERIOD', 'PT0S'],
    ['ABLAUF_PUBLIC_URL', 'http://ablauf.example.org'],
    ['ABLAUF_PUBLIC_URL', 'https://ablauf.example.org/?a=b'],
    ['ABLAUF_PUBLIC_URL', 'ablauf'],
    ['ABLAUF_ALLOW_PRIVATE_TARGETS', 'yes'],
    ['ABLAUF_LEDGER', '/var/lib/ablauf/ledger.ndjson'],
    ['ABLAUF_LEDGER', 'file:'],
    ['ABLAUF_LEDGER', 's3://'],
  ])('refuses %s=%s, naming it', (name, value) => {
    expect(refusalOf({ ...complete, [name]: value })).toContain(name);
  });

  test('accepts periods of seconds only where ABLAUF_MIN_PERIOD allows them', () => {
    const { settings } = readConfig({
      ...complete,
      ABLAUF_MIN_PERIOD: 'PT1S',
      ABLAUF_GRACE_PERIOD: 'PT3S',
      ABLAUF_MIN_NOTICE: 'PT0S',
    });
    expect(settings).toMatchObject({ gracePeriod: 'PT3S', notice: 'PT0S' });
  });

  test('reads secrets from files, and refuses one given twice or unreadable', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ablauf-config-'));
    try {
      const file = join(folder, 'key');
      writeFileSync(file, 'from-a-file\n');
      const { ABLAUF_ADMIN_KEY: given, ...rest } = complete;
      expect(readConfig({ ...rest, ABLAUF_ADMIN_KEY_FILE: file }).adminKey).toBe('from-a-file');
      expect(refusalOf({ ...rest, ABLAUF_ADMIN_KEY: given, ABLAUF_ADMIN_KEY_FILE: file })).toContain('given twice');
      expect(refusalOf({ ...rest, ABLAUF_ADMIN_KEY_FILE: join(folder, 'none') })).toContain('cannot be read');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('docs/configuration.md is what the schema says (renew it with npm run docs:configuration)', () => {
  expect(currentPage()).toBe(configurationPage());
});
