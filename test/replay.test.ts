import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { temporal as proto } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { recordedCourses } from './helpers/courses';
import { quietRuntime, required } from './helpers/system';

// The promise: accounts whose course began under older code go on under the present one. Recorded histories are theirs.

const folder = join(__dirname, 'histories');
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -'.json'.length));
const recorded = (name: string): string => readFileSync(join(folder, `${name}.json`), 'utf8');
const bundle = (): string => readFileSync(required('ABLAUF_TEST_BUNDLE'), 'utf8');

/** Replays a history against a bundle; answers with what goes wrong, if anything. */
async function replay(name: string, code: string): Promise<Error | undefined> {
  const history = proto.api.history.v1.History.fromObject(JSON.parse(recorded(name)) as Record<string, unknown>);
  const options = { workflowBundle: { code } };
  for await (const result of Worker.runReplayHistories(options, [
    { workflowId: `account/eu-central-1/${name}`, history },
  ])) {
    return result.error;
  }
  throw new Error('nothing was replayed');
}

beforeAll(() => quietRuntime());

test('there is a history of every course that is recorded, and of no other', () => {
  expect(names.sort()).toEqual(recordedCourses.map((course) => course.name).sort());
});

test.each(names)('the present workflows understand %s', async (name) => {
  expect(await replay(name, bundle())).toBeUndefined();
});

test.each<[string, string, RegExp, string]>([
  ['a wait that is left out', 'closed-by-timer', /if \(left <= 0\)/, 'if (true)'],
  [
    'an activity of another name',
    'suspended-and-reinstated',
    /const \{ recordStep, recordCreation \}/,
    'const { recordStepAnew: recordStep, recordCreation }',
  ],
  ['an activity that is gone', 'held-and-erased', /if \(!ended\.finished \|\| /, 'if (true || '],
  ['an export that is not told', 'exported-and-closed', /of withdrawn\)/, 'of [])'],
  ['what the law keeps and nobody waits for', 'sealed-and-erased', /if \(retained\)/, 'if (false)'],
  ['a signal that is not audited', 'written-to-by-hand', /else if \(["']refused["'] in outcome\)/, 'else if (false)'],
])('%s would be noticed in %s', async (_change, name, what, instead) => {
  const code = bundle();
  expect(what.test(code)).toBe(true);
  expect(await replay(name, code.replace(what, instead))).toBeInstanceOf(Error);
});

test('a history tells nothing of the machine it was recorded on, and nothing personal', () => {
  for (const name of names) {
    const payloads = [...recorded(name).matchAll(/"data": "([^"]*)"/g)].map(([, data]) =>
      Buffer.from(data ?? '', 'base64').toString(),
    );
    const told = `${recorded(name)}\n${payloads.join('\n')}`;
    expect(told).not.toMatch(/"identity": "(?!recorder")/);
    expect(told).not.toMatch(/\/(home|root|tmp|work|Users)\/|node_modules|Name of|@example\.org/);
  }
});

test('the bundle holds nothing of the database, the web server or Node', () => {
  const modules = [...bundle().matchAll(/^\/\*\*\*\/ "([^"]+)"/gm)].map(([, path]) => path ?? '');
  expect(modules.some((path) => path.includes('src/workflows/account.ts'))).toBe(true);
  const stranger =
    /node_modules\/(mongoose|mongodb|bson|express|pino|zod|@grpc|@temporalio\/(client|worker|activity|testing))\//;
  expect(modules.filter((path) => stranger.test(path))).toEqual([]);
  expect(modules.filter((path) => /src\/(data|api|access|audit|vault|embedded|activities)\//.test(path))).toEqual([]);
  const required = [...bundle().matchAll(/require\("(?:node:)?([\w/]+)"\)/g)].map(([, name]) => name ?? '');
  expect(required.filter((name) => builtinModules.includes(name))).toEqual([]);
});
