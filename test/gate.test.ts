/** Every way by which stored data could go, looked for in the source; and the one way that exists, under holds. */
import { randomUUID } from 'node:crypto';
import { join, relative } from 'node:path';
import ts from 'typescript';
import {
  categories,
  dataSetNamed,
  dataSets,
  deleteThroughGate,
  holdableDataSets,
  nameIn,
  ownedBy,
  type AccountDocument,
  type DataSet,
  type Deletion,
  type Store,
} from '../src/data';
import { native } from '../src/database';
import type { Hold } from '../src/lifecycle';
import { dropTestStore, openTestStore, region } from './helpers/system';

const root = join(__dirname, '..');

/** Methods that remove or replace what is stored, of the driver, of mongoose, of GridFS, and of object storage. */
const removing = new Set([
  'deleteOne',
  'deleteMany',
  'findOneAndDelete',
  'findOneAndRemove',
  'findByIdAndDelete',
  'findByIdAndRemove',
  'replaceOne',
  'findOneAndReplace',
  'bulkWrite',
  'bulkSave',
  'initializeOrderedBulkOp',
  'initializeUnorderedBulkOp',
  'remove',
  'delete',
  'drop',
  'dropCollection',
  'dropDatabase',
  'deleteModel',
  'rename',
  'renameCollection',
  'command',
  'runCommand',
  'rm',
  'rmSync',
  'unlink',
  'unlinkSync',
  'DeleteObjectCommand',
  'DeleteObjectsCommand',
]);
/** Of these only calls count: fields are called so too. */
const commands = new Set(['command', 'runCommand']);
/** Operators, stages and options that do. */
const removingKeys = new Set(['$unset', '$out', '$merge', 'expireAfterSeconds']);
/** Collections of the language, and of the web, whose members are not stored. */
const transient = new Set(['Map', 'Set', 'WeakMap', 'WeakSet', 'Headers', 'URLSearchParams', 'ReadonlyMap']);

/**
 * What is allowed beside the gate: `file function what`, and why no customer data under a hold can go by it.
 */
const allowed: Readonly<Record<string, string>> = {
  'src/api/idempotency.ts (module) expireAfterSeconds': 'answers kept for a repeat go after their day; no records',
  'src/access/session-models.ts (module) expireAfterSeconds':
    'sessions that are over, and what they were begun with; no records',
  'src/access/sessions.ts end deleteMany': 'sessions somebody ends; no records',
  'src/api/sign-in/sign-in.ts storeUser replaceOne':
    'a person as their provider calls them now, by their own id; no records',
  'src/api/routes/users.ts unblock $unset': 'that somebody is blocked; no records',
  'src/data/profile.ts storeDraft replaceOne': 'the draft of an account that does not exist yet, by its own id',
  'src/api/routes/accounts.ts create deleteOne': 'the draft of an account that was refused, or exists already',
  'src/api/routes/settings.ts change replaceOne': "the deployment's own settings, which name no account",
  'src/access/change-addresses.ts replaceList replaceOne': 'a list of allowed addresses, by its own id; no records',
  'src/edge/shared-limits.ts (module) expireAfterSeconds':
    'how often somebody asked, past the time it matters; no records',
  'src/edge/shared-limits.ts tell bulkWrite': 'adds how often somebody asked; removes nothing',
  'src/audit/sequence.ts sequenceBatch bulkWrite': 'gives audit entries their places in the log; removes nothing',
  'src/vault/rewrap.ts replace bulkWrite': 'wraps keys anew under another master key; removes none',
  'src/data/conclude.ts leaveTombstone deleteOne':
    'the account and its gate, in the transaction that leaves the tombstone, under the condition that no hold stands',
  'src/data/re-erase.ts leaveTombstone deleteOne':
    'the account and its gate, for the tombstone, once all its data is gone; the ledger says that it is erased (R23)',
  'src/data/re-erase.ts close $unset':
    'what a restore brought back of the course of an account that is erased; no records',
  'src/data/re-erase.ts lapseOf $unset':
    'until when something is kept of an erased account, once nothing is; no records',
  'src/disclosures/register.ts replaceProvider replaceOne': 'an entry of the register of providers; no customer data',
  'src/disclosures/register.ts removeProvider $unset':
    'whom to ask at a provider that is removed, and notes on it; no customer data',
  'src/disclosures/watch.ts look $unset': 'an alarm that is over; no customer data',
  'src/exports/end.ts removeBytes remove': 'bytes of an export that has ended, through the gate inside of it',
  'src/exports/end.ts removeBytes $unset': 'that there are bytes, once there are none; no records',
  'src/exports/end.ts removeLeftArchives remove': 'bytes of an export nobody knows, through the gate inside of it',
  'src/exports/s3.ts removeBatch DeleteObjectsCommand':
    "inside the gate's transaction, which holds off any hold until it ends",
  'src/exports/s3.ts put DeleteObjectCommand': 'an object just put that was refused by its export: it never counted',
  'src/data/gate.ts deleteIn deleteMany': 'the one way',
  'src/audit/prune.ts removeTiles deleteMany':
    "audit entries past the log's own retention, which the log has said before (R20)",
  'src/audit/prune.ts removeTiles deleteOne': 'the tile of hashes of such entries; those above it stay',
  'src/data/open-gate.ts passGates bulkWrite': 'updates of gates that let records in; removes nothing',
  'src/access/approvals.ts (module) expireAfterSeconds':
    'what waited for a second person goes after its day; no records',
  'src/access/key-uses.ts write bulkWrite': 'when keys were last used; removes nothing',
  'src/data/ingest.ts storeIn bulkWrite': 'adds to daily totals; removes nothing',
  'src/data/models.ts (module) expireAfterSeconds': 'drafts that never became accounts, and fingerprints of calls',
  'src/data/reencrypt.ts renew bulkWrite': 'the same values under another version of their key; removes nothing',
  'src/data/person.ts recordErased $unset': 'the name in a request that is done, in the transaction that says so',
  'src/data/purge.ts #reportIn $unset': 'the tally of a purge, in the transaction that reports it; no records',
  'src/data/purge.ts #settleIn $unset': 'when the next record passes its age; no records',
  'src/data/record-step.ts recordCreation deleteMany': 'the draft, in the transaction that makes the account of it',
  'src/data/record-step.ts update $unset': 'parts of the course that no longer apply; no records',
  'src/data/record-step.ts wakeSweep $unset': 'when the next record passes its age; no records',
  'src/data/retained.ts conclude $unset': 'dates on a tombstone, once what they speak of is gone; no records',
  'src/processors/record.ts recordAnswer $unset': "the account's id, in a request that is answered; no records",
  'src/processors/record.ts recordExpectation $unset': 'the last error of a request; no records',
  'src/processors/record.ts recordAbandonment $unset': "the account's id, in a request that is given up; no records",
  'src/vault/data-keys.ts updateEach bulkWrite': 'adds versions of keys, and uses them; removes nothing',
  'src/vault/vault.ts destroy $unset': 'a key that is destroyed; src/data/destroy-key.ts sees to the holds',
  'src/vault/data-keys.ts clockOf command': 'asks for the time',
  'src/data/store.ts databaseTime command': 'asks for the time',
  'src/operations/health.ts checkHealth command': 'asks whether the database is there',
};

interface Place {
  readonly key: string;
  readonly line: string;
}

/** Every place in the source of the product where something stored could be removed. */
function placesIn(program: ts.Program): Place[] {
  const checker = program.getTypeChecker();
  const found: Place[] = [];
  for (const source of program.getSourceFiles()) {
    const file = relative(root, source.fileName);
    // The embedded servers and dev.ts run on a developer's machine alone; a lint rule sees to that.
    if (!file.startsWith('src/') || /^src\/(embedded\/|dev\.ts$)/.test(file)) continue;
    const visit = (node: ts.Node): void => {
      const what = removalOf(node, checker);
      if (what !== undefined) {
        const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
        const key = `${file} ${functionAround(node)} ${what}`;
        found.push({ key, line: `${file}:${line} ${what} in ${functionAround(node)}` });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found;
}

/** What a node removes, if it is one that may. A method counts also where it is only mentioned, and not called. */
function removalOf(node: ts.Node, checker: ts.TypeChecker): string | undefined {
  if (ts.isPropertyAccessExpression(node) && removing.has(node.name.text)) {
    const isField =
      commands.has(node.name.text) && !(ts.isCallExpression(node.parent) && node.parent.expression === node);
    return isField || isTransient(node.expression, checker) ? undefined : node.name.text;
  }
  if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression)) {
    return removing.has(node.argumentExpression.text) ? node.argumentExpression.text : undefined;
  }
  if ((ts.isCallExpression(node) || ts.isNewExpression(node)) && ts.isIdentifier(node.expression)) {
    const name = node.expression.text;
    // A function of ours by such a name is looked into itself.
    return removing.has(name) && isForeign(node.expression, checker) ? name : undefined;
  }
  if (ts.isPropertyAssignment(node)) {
    const name = ts.isIdentifier(node.name) || ts.isStringLiteralLike(node.name) ? node.name.text : '';
    if (removingKeys.has(name)) return name;
    const isDelete = ts.isStringLiteralLike(node.initializer) && node.initializer.text === 'DELETE';
    if (name === 'method' && isDelete) return 'DELETE';
  }
  return undefined;
}

function isTransient(expression: ts.Expression, checker: ts.TypeChecker): boolean {
  const type = checker.getNonNullableType(checker.getTypeAtLocation(expression));
  return transient.has(type.getSymbol()?.getName() ?? '');
}

function isForeign(name: ts.Identifier, checker: ts.TypeChecker): boolean {
  const found = checker.getSymbolAtLocation(name);
  const isAlias = found !== undefined && (found.flags & ts.SymbolFlags.Alias) !== 0;
  const symbol = isAlias ? checker.getAliasedSymbol(found) : found;
  return symbol?.declarations?.some((one) => !one.getSourceFile().fileName.includes('node_modules')) !== true;
}

/** The nearest function with a name, or `(module)`. */
function functionAround(node: ts.Node): string {
  for (let at = node.parent; !ts.isSourceFile(at); at = at.parent) {
    if (ts.isFunctionDeclaration(at) || ts.isMethodDeclaration(at)) return at.name?.getText() ?? '(anonymous)';
    if (ts.isArrowFunction(at) || ts.isFunctionExpression(at)) {
      const { parent } = at;
      if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) return parent.name.getText();
    }
  }
  return '(module)';
}

function programOf(files: readonly string[], more: Readonly<Record<string, string>> = {}): ts.Program {
  const config = ts.getParsedCommandLineOfConfigFile(
    join(root, 'tsconfig.json'),
    { noEmit: true },
    {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic: () => undefined,
    },
  );
  const options = config?.options ?? {};
  const host = ts.createCompilerHost(options, true);
  const { readFile, fileExists } = host;
  host.readFile = (name) => more[name] ?? readFile(name);
  host.fileExists = (name) => name in more || fileExists(name);
  return ts.createProgram([...files, ...Object.keys(more)], options, host);
}

describe('the source', () => {
  let places: Place[];
  let imagined: Place[];

  beforeAll(() => {
    const file = join(root, 'src', 'data', 'imagined.ts');
    const text = `
      import type { Store } from './store';
      import { mongo } from 'mongoose';
      import { unlink } from 'node:fs/promises';
      export async function imagined(store: Store, name: 'deleteMany', bucket: mongo.GridFSBucket) {
        await store.records.logs.deleteMany({});
        await store.records.logs['deleteOne']({});
        const { logs } = store.records;
        const remove = logs.findOneAndDelete;
        await store.connection.collection('logs').drop();
        await store.connection.dropDatabase();
        await bucket.delete('id' as never);
        await store.totals.bulkWrite([{ deleteMany: { filter: {} } }]);
        await store.accounts.updateOne({}, { $unset: { name: '' } });
        await store.totals.aggregate([{ $out: 'elsewhere' }]);
        await fetch('http://storage/file', { method: 'DELETE' });
        await unlink('file');
        new Map().delete(name);
        new Set().delete(name);
        return remove;
      }`;
    const all = placesIn(programOf(ts.sys.readDirectory(join(root, 'src'), ['.ts', '.tsx']), { [file]: text }));
    imagined = all.filter(({ key }) => key.includes('imagined.ts'));
    places = all.filter((place) => !imagined.includes(place));
  }, 180_000);

  test('R9: removes stored data through the gate alone, or for a reason named here', () => {
    const unknown = places.filter(({ key }) => !(key in allowed)).map(({ line }) => line);
    // A reason for something that is gone would let the next one in unseen.
    const keys = new Set(places.map(({ key }) => key));
    const idle = Object.keys(allowed).filter((key) => !keys.has(key));
    expect({ unknown, idle }).toEqual({ unknown: [], idle: [] });
  });

  test('would be found out, however something were removed', () => {
    expect(imagined.map(({ line }) => line.replace('src/data/imagined.ts:', ''))).toEqual([
      '6 deleteMany in imagined',
      '7 deleteOne in imagined',
      '9 findOneAndDelete in imagined',
      '10 drop in imagined',
      '11 dropDatabase in imagined',
      '12 delete in imagined',
      '13 bulkWrite in imagined',
      '14 $unset in imagined',
      '15 $out in imagined',
      '16 DELETE in imagined',
      '17 unlink in imagined',
    ]);
  });
});

type Purpose = Deletion['purpose'];

/** What each purpose deletes, and an account it applies to. */
const purposes: Readonly<
  Record<Purpose, { readonly sets: readonly string[]; readonly account: Partial<AccountDocument> }>
> = {
  erasure: {
    sets: dataSets.filter((set) => set.erasure === 'delete' || set.erasure === 'seal').map((set) => set.name),
    account: {
      state: 'expired',
      erasing: { since: new Date(), done: 0, total: 0, sets: {}, plan: { hash: 'h', steps: [] } },
    },
  },
  purge: { sets: categories, account: {} },
  person: { sets: categories, account: {} },
  archive: { sets: ['exports', 'archives', 'archive-chunks'], account: {} },
  retained: { sets: ['sealed'], account: { state: 'erased', retainedUntil: new Date() } },
  're-erasure': {
    sets: dataSets.filter((set) => set.erasure.startsWith('delete') || set.erasure === 'seal').map((set) => set.name),
    account: {
      state: 'expired',
      reErasing: { certificate: 'cert', erasedAt: new Date(), since: new Date(), holds: 0 },
    },
  },
};

describe('the gate', () => {
  let store: Store;

  beforeAll(async () => {
    store = await openTestStore();
  });
  afterAll(async () => {
    await dropTestStore(store);
  });

  const collectionOf = (set: DataSet) => store.connection.collection<Record<string, unknown>>(set.collection);

  /** An account with a document in each of these sets. */
  async function account(purpose: Purpose, holds: readonly Partial<Hold>[]): Promise<string> {
    const id = `acct-${randomUUID()}`;
    const since = new Date();
    const overrides = { activeRetentionDays: 30 };
    const lifecycle = { state: 'active', since: since.toISOString(), causes: [], overrides, holds };
    await native(store.accounts).insertOne({
      _id: id,
      region,
      state: 'active',
      since,
      lifecycle: lifecycle as unknown as AccountDocument['lifecycle'],
      inactive: [],
      seq: 1,
      version: 1,
      createdAt: since,
      ...purposes[purpose].account,
    });
    for (const name of purposes[purpose].sets) {
      const set = dataSetNamed(name);
      const { owner } = set;
      const field = 'field' in owner ? owner.field : 'prefixOf' in owner ? owner.prefixOf : '_id';
      const value = 'field' in owner ? nameIn(store, id, set) : `${id}:0a`;
      await collectionOf(set).insertOne({ _id: randomUUID() as never, [field]: value });
    }
    return id;
  }

  const left = async (id: string, purpose: Purpose) => {
    const sets = purposes[purpose].sets.map(dataSetNamed);
    const counts = await Promise.all(
      sets.map(
        async (set) =>
          [set.name, await collectionOf(set).countDocuments(ownedBy(nameIn(store, id, set), set))] as const,
      ),
    );
    return counts.filter(([, documents]) => documents > 0).map(([name]) => name);
  };

  const take = (id: string, purpose: Purpose, names: readonly string[]) =>
    deleteThroughGate(store, { account: id, purpose, sets: Object.fromEntries(names.map((name) => [name, {}])) });

  const names = Object.keys(purposes) as Purpose[];

  test.each(names)('R9: %s takes what it is to take where no hold stands, and says what went', async (purpose) => {
    const { sets } = purposes[purpose];
    const id = await account(purpose, []);
    const other = await account(purpose, []);
    const gone = await take(id, purpose, sets);
    expect(gone?.sets).toEqual(Object.fromEntries(sets.map((name) => [name, 1])));
    expect(await left(id, purpose)).toEqual([]);
    expect(await left(other, purpose)).toEqual(sets);
  });

  test.each(names)('R9: %s takes nothing under a hold on everything', async (purpose) => {
    const { sets } = purposes[purpose];
    const id = await account(purpose, [{ id: 'chosen', datasets: [] }, { id: 'whole' }]);
    expect(await take(id, purpose, sets)).toBeUndefined();
    for (const name of sets) expect(await take(id, purpose, [name])).toBeUndefined();
    expect(await left(id, purpose)).toEqual(sets);
  });

  test.each(names)('R9: %s takes nothing of a data set that is held, and the others', async (purpose) => {
    const { sets } = purposes[purpose];
    for (const held of sets.filter((name) => holdableDataSets.includes(name))) {
      const id = await account(purpose, [
        { id: 'one', datasets: [held] },
        { id: 'two', datasets: ['nothing', held] },
      ]);
      // In one batch with others it stops them all: nothing is half done.
      expect(await take(id, purpose, sets)).toBeUndefined();
      expect(await left(id, purpose)).toEqual(sets);
      for (const name of sets) {
        const gone = await take(id, purpose, [name]);
        expect([name, gone?.sets[name]]).toEqual([name, name === held ? undefined : 1]);
      }
      expect(await left(id, purpose)).toEqual([held]);
    }
  });

  test.each([
    ['erasure', { state: 'active' }],
    ['erasure', { state: 'suspended' }],
    ['erasure', { erasing: undefined }],
    ['erasure', { 'erasing.halted': true }],
    ['purge', { state: 'erased' }],
    ['purge', { 'lifecycle.overrides': {} }],
    ['person', { state: 'erased' }],
    ['retained', { state: 'expired' }],
    ['retained', { retainedUntil: undefined }],
  ] as const)('%s takes nothing of an account that is %j', async (purpose, change) => {
    const id = await account(purpose, []);
    const [[field, value] = ['', undefined]] = Object.entries(change);
    await native(store.accounts).updateOne(
      { _id: id },
      value === undefined ? { $unset: { [field]: '' } } : { $set: { [field]: value as never } },
    );
    expect(await take(id, purpose, purposes[purpose].sets)).toBeUndefined();
    expect(await left(id, purpose)).toEqual(purposes[purpose].sets);
  });

  test('takes nothing of an account that is not there', async () => {
    const id = await account('person', []);
    await native(store.accounts).deleteOne({ _id: id });
    expect(await take(id, 'person', categories)).toBeUndefined();
    expect(await left(id, 'person')).toEqual([...categories]);
  });
});
