/** The audit log as a stream for a SIEM: in the log's order, resumable, and going on as long as anybody listens (R19). */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { permissions } from '../../access';
import { originOf, placedFrom, type AuditEntry, type SequencedEntry } from '../../audit';
import { toCloudEvent } from '../../siem';
import { Problem } from '../problems';
import { route, type Call, type Route } from '../route';
import type { Workshop } from '../workshop';
import { shown } from './audit';

const position = z
  .string()
  .regex(/^\d{1,15}$/, 'must be a position, as lines have it')
  .transform(Number);
const querySchema = z.strictObject({
  format: z.enum(['entries', 'ocsf']).default('entries'),
  after: position.optional(),
  limit: position
    .refine((limit) => limit > 0, 'must be more than nothing')
    .meta({ published: { type: 'integer', pattern: undefined, minimum: 1, maximum: 999_999_999_999_999 } })
    .optional(),
  follow: z.enum(['0', '1']).default('0'),
});
type Query = z.output<typeof querySchema>;

/** Between two looks at whether the log has grown, and whether its reader may still read it, in milliseconds. */
const lookEvery = 500;
/** How long a reader who waits hears nothing, in milliseconds: a blank line says that all is well, and finds out who has gone. */
const beatEvery = 10_000;
/** How many may follow the log at once in one process. */
const mostFollowers = 16;
const ndjson = 'application/x-ndjson; charset=utf-8';

export function auditExportRoutes(workshop: Workshop): Route[] {
  let followers = 0;
  return [
    route({
      method: 'get',
      path: '/v1/audit/export',
      roles: permissions.readAudit,
      onRecord: 'audit.exported',
      summary:
        'The audit log as lines of JSON in its own order, after a position. With `follow=1` it goes on with new entries; blank lines say that there are none.',
      query: querySchema,
      answers: { 200: { description: 'Lines of JSON', type: 'application/x-ndjson' } },
      handle(call) {
        const isFollower = call.query.follow === '1';
        if (isFollower && followers >= mostFollowers) {
          const detail = `${mostFollowers} readers follow the log already`;
          return Promise.reject(new Problem('unavailable', detail, {}, { 'Retry-After': '60' }));
        }
        const stream = () => (isFollower ? counted(linesFor(workshop, call)) : linesFor(workshop, call));
        return Promise.resolve({ status: 200, file: { type: ndjson, stream } });
      },
    }),
  ];

  async function* counted(lines: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    followers += 1;
    try {
      yield* lines;
    } finally {
      followers -= 1;
    }
  }
}

/** The lines of an export, as many at once as one read of the log brings. */
async function* linesFor(
  workshop: Workshop,
  { query: { format, after, limit = Infinity, follow }, recheck }: Call<unknown, Query>,
): AsyncGenerator<Uint8Array> {
  const { audit } = workshop.store;
  const lineOf = format === 'ocsf' ? ocsfLine : entryLine;
  let next = after === undefined ? 0 : after + 1;
  let left = limit;
  let heard = performance.now();
  for (;;) {
    for await (const batch of placedFrom(audit, next)) {
      const wanted = batch.slice(0, left);
      const entries = await audit.reveal(wanted);
      const lines = await Promise.all(
        wanted.map((placed, index) => lineOf(workshop, placed, entries[index] as AuditEntry)),
      );
      yield Buffer.from(lines.join(''));
      heard = performance.now();
      left -= wanted.length;
      next = (wanted.at(-1)?.position ?? next) + 1;
      if (left <= 0 || isEnding(workshop) || !(await stillMay(recheck))) return;
    }
    if (follow !== '1') return;
    await pause(lookEvery, undefined, { signal: workshop.ending }).catch(() => undefined);
    if (isEnding(workshop) || !(await stillMay(recheck))) return;
    if (performance.now() - heard < beatEvery) continue;
    yield Buffer.from('\n');
    heard = performance.now();
  }
}

function isEnding({ ending }: Workshop): boolean {
  return ending?.aborted === true;
}

/** Whether the reader could still ask: who was shut out hears the end, and is told why on asking again. */
async function stillMay(recheck: () => Promise<void>): Promise<boolean> {
  try {
    await recheck();
    return true;
  } catch (error) {
    if (error instanceof Problem && (error.status === 401 || error.status === 403)) return false;
    throw error;
  }
}

async function entryLine(workshop: Workshop, placed: SequencedEntry, entry: AuditEntry): Promise<string> {
  return `${JSON.stringify({ position: placed.position, ...(await shown(workshop, entry)) })}\n`;
}

function ocsfLine({ region }: Workshop, placed: SequencedEntry, entry: AuditEntry): Promise<string> {
  const { position: at, sequencedAt, details } = placed;
  const event = toCloudEvent(originOf(region), { entry, facts: details, position: at, sequencedAt });
  return Promise.resolve(`${JSON.stringify(event)}\n`);
}
