/** The audit log: reading it, having it verified, and what anybody needs to check it without us (R19, R20). */
import { hash } from 'node:crypto';
import { z } from 'zod';
import { permissions } from '../../access';
import {
  newestCheckpoint,
  proofOf,
  sourceIn,
  verifyOwnLog,
  type AuditEntry,
  type AuditEntryDocument,
  type Verification,
} from '../../audit';
import { native } from '../../database';
import { entryShape, inclusionShape, verificationShape } from '../answers/audit';
import { answers, fileAnswers, pageOf } from '../answers/words';
import { cursorFor, positionIn } from '../cursors';
import { opened } from '../notes';
import { notFound } from '../problems';
import { route, type Route } from '../route';
import { auditParamsSchema, auditQuerySchema, noQuerySchema } from '../schemas';
import type { Workshop } from '../workshop';
import { entryFor } from './timeline';

type Query = z.output<typeof auditQuerySchema>;

/** Entries looked at for one page: where few of them match, the page may be short, or empty, and has a cursor all the same. */
const lookedAt = 5000;
const list = 'audit';

export function auditRoutes(workshop: Workshop): Route[] {
  const { store, log } = workshop;
  let verifying: Promise<Verification> | undefined;

  return [
    route({
      method: 'get',
      path: '/v1/audit',
      roles: permissions.readAudit,
      onRecord: 'audit.read',
      summary:
        'Lists audit entries, newest first. A page may hold less than was asked for; the cursor says whether it is the last.',
      answers: answers(pageOf(entryShape), 'A page of entries'),
      query: auditQuerySchema,
      async handle({ query }) {
        const { found, nextCursor } = await find(workshop, query);
        const entries = await store.audit.reveal(found);
        const items = await Promise.all(entries.map((entry) => shown(workshop, entry)));
        return { status: 200, body: { items, nextCursor } };
      },
    }),
    route({
      method: 'post',
      path: '/v1/audit/verify',
      roles: permissions.verifyAudit,
      summary: 'Verifies the whole audit log, and names the first fault.',
      answers: answers(verificationShape, 'What was found'),
      query: noQuerySchema,
      idempotent: false,
      bounded: false,
      async handle() {
        // Reading everything once is enough for all who ask meanwhile.
        verifying ??= verify(workshop).finally(() => (verifying = undefined));
        const found = await verifying;
        if (!found.ok) log.error({ alert: 'audit-log-broken', ...found.firstFault }, 'the audit log does not verify');
        return { status: 200, body: found };
      },
    }),
    route({
      method: 'get',
      path: '/v1/audit/checkpoint',
      roles: 'public',
      summary: "The audit log's newest state, signed: a C2SP checkpoint.",
      answers: fileAnswers('text/plain', 'A signed note'),
      query: noQuerySchema,
      async handle() {
        const note = Buffer.from(await newestCheckpoint(store));
        const file = {
          type: 'text/plain; charset=utf-8',
          name: 'checkpoint.txt',
          bytes: note.length,
          tag: hash('sha256', note, 'base64url').slice(0, 16),
          open: (start: number, end: number) => Promise.resolve(once(note.subarray(start, end))),
        };
        return { status: 200, headers: { 'Cache-Control': 'no-cache' }, file };
      },
    }),
    route({
      method: 'get',
      path: '/v1/audit/:id/proof',
      roles: 'public',
      summary: 'Proves to anybody who knows its id that an entry is in the audit log (RFC 9162).',
      answers: answers(inclusionShape, 'The proof'),
      params: auditParamsSchema,
      query: noQuerySchema,
      async handle({ params: { id } }) {
        const proof = await proofOf(store, id);
        if (proof === undefined) throw notFound();
        return { status: 200, body: proof };
      },
    }),
  ];
}

/** An entry, its free text opened where there is a key for it. */
export async function shown(workshop: Workshop, entry: AuditEntry) {
  const entryShown = entryFor(entry, true);
  return entry.account === undefined ? entryShown : opened(workshop, entry.account, entryShown);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

function verify({ store, region, witnesses }: Workshop): Promise<Verification> {
  const source = sourceIn(store.connection, region);
  return verifyOwnLog(source, store.vault, witnesses === undefined ? {} : { witnesses });
}

/** A position in the list: an entry's time and id. */
const positionSchema = z.tuple([z.int(), z.string()]);

interface Found {
  readonly found: readonly AuditEntryDocument[];
  readonly nextCursor: string | null;
}

async function find({ store }: Workshop, query: Query): Promise<Found> {
  const { audit, vault } = store;
  const { limit, account, actor, action, from, to } = query;
  const after = positionIn(list, query.cursor, positionSchema);
  const subject = account === undefined ? undefined : vault.pseudonymOf(account);
  const actors =
    actor === undefined ? undefined : await audit.actorIndexes(actor, account ?? (await ownerOf(store, actor)));
  const until = after === undefined ? to : new Date(after[0] + 1);
  const at = {
    ...(from === undefined ? {} : { $gte: from }),
    ...(until === undefined ? {} : { $lt: until }),
  };
  // The plainest question an index answers; what else was asked is judged here.
  const entries = native(audit.entries)
    .find<AuditEntryDocument>({
      ...(subject === undefined ? {} : { subject }),
      ...(subject !== undefined || actors === undefined ? {} : { actorIndex: actors.at(-1) ?? '' }),
      ...(Object.keys(at).length === 0 ? {} : { at }),
    })
    .sort({ at: -1, _id: -1 })
    .batchSize(Math.min(limit + 1, 200));
  const found: AuditEntryDocument[] = [];
  let examined = 0;
  let last: AuditEntryDocument | undefined;
  for await (const entry of entries) {
    if (after !== undefined && !isOlder(entry, after)) continue;
    if (found.length === limit || examined === lookedAt) {
      return { found, nextCursor: last === undefined ? null : cursorFor(list, [last.at.getTime(), last._id]) };
    }
    examined += 1;
    last = entry;
    if (action !== undefined && entry.action !== action) continue;
    if (actors !== undefined && !actors.includes(entry.actorIndex ?? '')) continue;
    found.push(entry);
  }
  return { found, nextCursor: null };
}

function isOlder({ at, _id }: AuditEntryDocument, [time, id]: z.output<typeof positionSchema>): boolean {
  return at.getTime() < time || (at.getTime() === time && _id < id);
}

/** The account whose key an actor is, where it is one: what a customer did is found by the account's own index. */
async function ownerOf({ connection }: Workshop['store'], actor: string): Promise<string | undefined> {
  const keys = connection.collection<{ readonly _id: string; readonly account?: string }>('apiKeys');
  const key = await keys.findOne({ _id: actor }, { projection: { account: 1 } });
  return key?.account;
}
