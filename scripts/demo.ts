/**
 * `npm run demo`: one account with real traffic goes through its whole life on real servers, in under two minutes:
 * active, suspended, reinstated, suspended again, expired, erased. Ends by looking for anything that is left of it.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mongoose from 'mongoose';
import { startDevSystem, type DevSystem } from './support/dev-system';
import { call } from './support/http';
import { liteLlmCall } from './support/traffic';

const periods = { grace: 'PT12S', expiry: 'PT12S' };
const account = 'acme-gmbh';
const canary = 'the-canary-sings-only-here';

interface AccountView {
  readonly state: string;
  readonly since: string;
  readonly deadline?: { readonly action: string; readonly at: string };
}

interface ExportView {
  readonly id: string;
  readonly status: string;
  readonly progress: { readonly done: number; readonly total: number | null };
  readonly records: number;
  readonly bytes: number;
  readonly sha256?: string;
  readonly expiresAt?: string;
}

interface Entry {
  readonly at: string;
  readonly action: string;
  readonly actor: { readonly type: string; readonly id: string };
}

function say(text = ''): void {
  console.log(text);
}

function heading(text: string): void {
  say(`\n\u001B[1m${text}\u001B[0m`);
}

function time(instant: string): string {
  return `${instant.slice(11, 19)} UTC`;
}

async function main(): Promise<void> {
  const started = Date.now();
  heading('Starting Ablauf with periods of seconds instead of weeks');
  const system = await startDevSystem({
    environment: {
      ABLAUF_GRACE_PERIOD: periods.grace,
      ABLAUF_EXPIRY_PERIOD: periods.expiry,
      ABLAUF_MIN_PERIOD: 'PT1S',
      ABLAUF_MIN_NOTICE: 'PT0S',
    },
    onLine: (line) => say(`  ${line}`),
  });
  try {
    await live(system);
    say(`\nThe demo took ${Math.round((Date.now() - started) / 1000)} seconds.`);
  } finally {
    await system.stop();
  }
}

async function live(system: DevSystem): Promise<void> {
  const { api, adminKey } = system;
  const ask = async <T>(method: string, path: string, body?: unknown, key = adminKey): Promise<T> => {
    const answer = await call<T>(api, key, method, path, body);
    if (answer.status >= 400)
      throw new Error(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const show = (text: string, view: AccountView) => {
    const next = view.deadline === undefined ? '' : `, ${view.deadline.action}s at ${time(view.deadline.at)} by itself`;
    say(`  ${text}: ${view.state} since ${time(view.since)}${next}`);
  };
  const until = async (state: string): Promise<AccountView> => {
    for (const end = Date.now() + 40_000; ;) {
      const view = await ask<AccountView>('GET', `/v1/accounts/${account}`);
      if (view.state === state) return view;
      if (Date.now() > end) throw new Error(`the account did not become ${state}`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  };

  heading('1. A customer comes, and its requests leave data (R1)');
  show(
    'created',
    await ask('POST', '/v1/accounts', {
      id: account,
      name: 'Acme GmbH',
      email: 'it@acme.example',
      plan: 'enterprise',
      locale: 'de',
    }),
  );
  say(`  in Temporal's Web UI: ${system.webUi}/namespaces/default/workflows/account%2Feu-central-1%2F${account}`);
  const calls = Array.from({ length: 200 }, (_, index) =>
    liteLlmCall({ account, prompt: `${canary} ${index}`, user: `person-${index % 7}`, at: Date.now() - index * 1000 }),
  );
  const { accepted } = await ask<{ accepted: number }>('POST', '/v1/ingest/litellm', calls);
  say(`  LiteLLM's callback: ${accepted} calls stored, as prompts, completions, logs and usage`);
  const repeated = await ask<{ duplicates: number }>('POST', '/v1/ingest/litellm', calls);
  say(`  the same callback again: ${repeated.duplicates} recognised as duplicates`);

  heading('It downloads everything, and checks it with tar and sha256sum (R14)');
  const { key } = await ask<{ key: string }>('POST', '/v1/api-keys', { role: 'customer', account });
  const exported = await download(api, key, (method, path, body) => ask(method, path, body, key));

  heading('2. It does not pay: forced suspension, with a grace period (R3, R15)');
  show('suspended', await ask('POST', `/v1/accounts/${account}/suspend`, { reason: 'non_payment' }));
  const withdrawn = await ask<ExportView>('GET', `/v1/accounts/${account}/exports/${exported}`);
  const refused = await call<{ code: string }>(api, key, 'GET', `/v1/accounts/${account}/exports/${exported}/file`);
  say(`  its export: ${withdrawn.status}; downloading it: ${refused.status} ${refused.body.code}`);
  const access = await ask<{ allowed: boolean; code: string }>('GET', `/v1/accounts/${account}/access`);
  say(`  the gateway asks whether to serve it: allowed ${access.allowed} (${access.code})`);
  const late = await ask<{ discarded: number }>(
    'POST',
    '/v1/ingest/litellm',
    liteLlmCall({ account, at: Date.now() + 500 }),
  );
  say(`  a call made after that is not kept: ${late.discarded} discarded`);

  heading('3. It pays in time: reinstated, its data intact (R4)');
  show('reinstated', await ask('POST', `/v1/accounts/${account}/reinstate`, { resolved: ['non_payment'] }));

  heading('4. It breaks the terms: suspended again, with a full new grace period (R4)');
  show('suspended', await ask('POST', `/v1/accounts/${account}/suspend`, { reason: 'terms_violation' }));

  heading(`5. Nobody resolves it: after ${periods.grace} it is closed by a timer (R5)`);
  show('expired', await until('expired'));

  heading('6. A legal hold is placed, and released again (R9)');
  const hold = await ask<{ id: string }>('POST', `/v1/accounts/${account}/holds`, { reason: 'case 4711' });
  say('  hold placed: nothing is erased while it stands');
  await ask('DELETE', `/v1/accounts/${account}/holds/${hold.id}`);
  say('  hold released');

  heading(`7. After ${periods.expiry} everything is erased (R6)`);
  const erased = await until('erased');
  show('erased', erased);
  say(`  what is left to read: ${JSON.stringify(erased)}`);

  heading('Its course, as the audit log has it');
  const { items } = await ask<{ items: Entry[] }>('GET', `/v1/accounts/${account}/timeline?limit=1000`);
  for (const { at, action, actor } of items)
    say(`  ${new Date(at).toISOString().slice(11, 23)}  ${action}  by ${actor.type} ${actor.id}`);

  const connection = await mongoose.createConnection(system.mongodb).asPromise();
  try {
    const database = connection.getClient().db('ablauf');
    heading('Is anything left?');
    let found = 0;
    for (const { name } of await database.listCollections({}, { nameOnly: true }).toArray()) {
      const documents = (await database.collection(name).find({}).toArray()).map((document) =>
        JSON.stringify(document),
      );
      const mentions = documents.filter((text) => text.includes(account)).length;
      const contents = documents.filter(
        (text) => text.includes(canary) || text.includes('acme.example') || text.includes('Acme'),
      ).length;
      found += contents + mentions;
      if (mentions > 0 || contents > 0)
        say(`  ${name}: ${mentions} documents name the account, ${contents} hold something of its data`);
    }
    if (found > 0) throw new Error(`${found} documents still hold data of the account, or name it`);
    say(
      '  Every document of every collection was read: nothing of its data is left, and nothing says its id. The tombstone,',
    );
    say(
      '  the audit log and the certificate know it by a pseudonym, so that it never comes back and its course can be shown.',
    );
  } finally {
    await connection.close();
  }
}

/** Asks for an export, waits for it, fetches it, and looks at it with the tools anybody has. */
async function download(
  api: string,
  key: string,
  ask: <T>(method: string, path: string, body?: unknown) => Promise<T>,
): Promise<string> {
  const path = `/v1/accounts/${account}/exports`;
  let view = await ask<ExportView>('POST', path, {});
  for (let shown = ''; view.status === 'running'; view = await ask<ExportView>('GET', `${path}/${view.id}`)) {
    const progress = `  ${view.status}: ${view.progress.done} of ${view.progress.total ?? '?'} records`;
    if (progress !== shown) say(progress);
    shown = progress;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  if (view.status !== 'ready') throw new Error(`the export is ${view.status}`);
  say(`  ready: ${view.records} records in ${view.bytes} bytes, to be fetched until ${view.expiresAt ?? ''}`);
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-demo-export-'));
  try {
    const file = join(folder, 'export.tar');
    const response = await fetch(`${api}${path}/${view.id}/file`, { headers: { authorization: `Bearer ${key}` } });
    await writeFile(file, Buffer.from(await response.arrayBuffer()));
    for (const line of execFileSync('tar', ['tvf', file], { encoding: 'utf8' }).trimEnd().split('\n')) say(`  ${line}`);
    const [sum = ''] = execFileSync('sha256sum', [file], { encoding: 'utf8' }).split(' ');
    if (sum !== view.sha256) throw new Error('the SHA-256 of the download is not that of the export');
    say(`  SHA-256 as announced: ${sum}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return view.id;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
