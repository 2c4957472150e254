/**
 * Exports: everything a customer has here, as an archive to download (R14). Its customer has them while in good standing
 * and after closing the account themselves; the legal role serves requests for access to closed accounts, on record (R15).
 */
import { z } from 'zod';
import { native } from '../../database';
import { permissions } from '../../access';
import { shownFrom, type AccountDocument } from '../../data';
import { archiveBytes, registerExports, requestExport, type ExportDocument } from '../../exports';
import { exportSummary, exportWorkflowId, exportWorkflowType } from '../../workflows';
import { exportShape } from '../answers/data';
import { answers, fileAnswers, pageOf as pageShapeOf } from '../answers/words';
import { sending } from '../commands';
import { pageOf, positionIn } from '../cursors';
import { invalid, notFound, Problem } from '../problems';
import { route, type Answer, type Call, type FileBody, type Route } from '../route';
import { accountParamsSchema, exportParamsSchema, newExportSchema, noQuerySchema, pageSchema } from '../schemas';
import { openAccount } from '../standing';
import type { Workshop } from '../workshop';
import { write } from '../writes';

type NewExport = z.output<typeof newExportSchema>;
interface InAccount {
  readonly id: string;
}
interface InExport extends InAccount {
  readonly exportId: string;
}

/** All that is shown of an export; the parts of a large one are many. */
const shown = { parts: 0, files: 0, cursor: 0 } as const;

export function exportRoutes(workshop: Workshop): Route[] {
  const { store, archives, courses, jobs, region, clock } = workshop;
  const exports = native(registerExports(store.connection).exports);
  return [
    route({
      method: 'post',
      path: '/v1/accounts/:id/exports',
      roles: permissions.createExport,
      standing: 'exporting',
      summary: "Asks for an archive of an account's data.",
      answers: { 202: { description: 'The export', schema: exportShape, headers: ['Location'] } },
      params: accountParamsSchema,
      query: noQuerySchema,
      body: newExportSchema,
      handle: create,
    }),
    route({
      method: 'get',
      path: '/v1/accounts/:id/exports',
      roles: permissions.readExports,
      standing: 'exporting',
      summary: "Lists an account's exports, newest first.",
      answers: answers(pageShapeOf(exportShape), 'A page of exports'),
      params: accountParamsSchema,
      query: pageSchema,
      async handle(call) {
        const { id } = call.params;
        await openAccount(workshop, call, id);
        const list = `exports/${id}`;
        const after = positionIn(list, call.query.cursor, z.tuple([z.int(), z.string()]));
        const at = new Date(after?.[0] ?? 0);
        const behind = after === undefined ? {} : { $or: [{ at: { $lt: at } }, { at, _id: { $lt: after[1] } }] };
        const found = await exports
          .find<ExportDocument>({ account: id, ...behind }, { projection: shown })
          .sort({ at: -1, _id: -1 })
          .limit(call.query.limit + 1)
          .toArray();
        const position = (item: ExportDocument) => [item.at.getTime(), item._id];
        return { status: 200, body: pageOf(found, call.query.limit, list, position, exportFor) };
      },
    }),
    route({
      method: 'get',
      path: '/v1/accounts/:id/exports/:exportId',
      roles: permissions.readExports,
      standing: 'exporting',
      summary: 'Reads what has become of an export.',
      answers: answers(exportShape, 'The export'),
      params: exportParamsSchema,
      query: noQuerySchema,
      async handle(call) {
        await openAccount(workshop, call, call.params.id);
        return { status: 200, body: exportFor(await seekExport(call.params, shown)) };
      },
    }),
    route({
      method: 'get',
      path: '/v1/accounts/:id/exports/:exportId/file',
      roles: permissions.downloadExport,
      standing: 'exporting',
      summary: "Downloads an export's archive, or a stretch of it.",
      answers: fileAnswers('application/x-tar', 'A tar of CATEGORY.ndjson.gz and manifest.json'),
      params: exportParamsSchema,
      query: noQuerySchema,
      async handle(call) {
        assertServed(call, await openAccount(workshop, call, call.params.id));
        return { status: 200, file: fileOf(call, await seekExport(call.params)) };
      },
    }),
  ];

  /** What has passed its age is no part of a customer's export, swept or not (R12). */
  function startFor({ principal }: Call, account: AccountDocument, from: Date | undefined): Date | undefined {
    const shown = principal.role === 'customer' ? shownFrom(account, clock()) : undefined;
    return shown !== undefined && (from === undefined || from < shown) ? shown : from;
  }

  async function create(call: Call<InAccount, unknown, NewExport>): Promise<Answer> {
    const { id: account } = call.params;
    const { from, to = clock(), categories } = call.body;
    if (from !== undefined && from >= to)
      throw invalid([{ path: 'from', detail: 'must lie before to, and before now' }]);
    await Promise.all([
      openAccount(workshop, call, account).then((found) => assertServed(call, found)),
      courses.reach(),
    ]);
    const id = `exp_${call.attempt.updateId.replaceAll('-', '')}`;
    // Answered, and kept for a repeat, only once its workflow is known to run.
    const unkept = { ...call, attempt: { ...call.attempt, keep: () => Promise.resolve() } };
    let stuck: ExportDocument | undefined;
    const answer = await write(workshop, unkept, async (session) => {
      const found = await openAccount(workshop, call, account, session);
      assertServed(call, found);
      const since = startFor(call, found, from);
      const requested = await requestExport(store, session, archives, {
        id,
        account,
        requestedBy: call.principal.actor.id,
        at: clock(),
        to,
        ...(since === undefined ? {} : { from: since }),
        ...(categories === undefined ? {} : { categories }),
      });
      stuck = undefined;
      if ('closed' in requested) throw new Problem('conflict', 'the account is being erased');
      if ('tooMany' in requested) {
        throw new Problem('conflict', `${requested.tooMany} exports are kept already; one has to expire first`);
      }
      if ('running' in requested) {
        stuck = requested.running;
        return { answer: { status: 409 } };
      }
      if ('known' in requested) return { answer: answerFor(requested.known) };
      const { datasets } = requested.created;
      const range = { from: from?.toISOString() ?? null, to: to.toISOString() };
      return {
        answer: answerFor(requested.created),
        entry: { action: 'export.created', account, details: { export: id, datasets, ...range } },
      };
    });
    // Should the workflow of an earlier one never have begun, this is where it does.
    await sending(call, () => start(account, stuck?._id ?? id));
    if (stuck !== undefined) throw new Problem('conflict', `export ${stuck._id} is under way; one runs at a time`);
    return answer;
  }

  async function start(account: string, exportId: string): Promise<void> {
    await jobs.start({
      type: exportWorkflowType,
      id: exportWorkflowId(region, account, exportId),
      input: { exportId },
      summary: exportSummary(account, region),
      account,
    });
  }

  async function seekExport(
    { id, exportId }: InExport,
    projection: Readonly<Record<string, 0>> = {},
  ): Promise<ExportDocument> {
    const found = await exports.findOne<ExportDocument>({ _id: exportId, account: id }, { projection });
    if (found === null) throw notFound('there is no such export');
    return found;
  }

  function fileOf(call: Call<InExport>, archive: ExportDocument): FileBody {
    const { _id, account, status, bytes, sha256, expiresAt } = archive;
    if (status !== 'ready' || sha256 === undefined || expiresAt === undefined || expiresAt <= clock()) {
      const now = status === 'ready' ? 'expired' : status;
      throw new Problem('conflict', `the export is ${now}; only a ready one has a file`, {
        state: representedStatus(now),
      });
    }
    if (archive.storage !== archives.kind)
      throw new Problem('conflict', 'the export is kept in a storage that is not configured any more');
    return {
      type: 'application/x-tar',
      name: `${account}-${_id}.tar`,
      bytes,
      tag: sha256,
      async open(start, end) {
        // R19: that somebody takes it is on record before they have any of it.
        const details = { export: _id, ...(start === 0 && end === bytes ? {} : { from: start, to: end }) };
        const entry = { action: 'export.downloaded', account, details };
        await write(workshop, call, () => Promise.resolve({ answer: { status: 200 }, entry }));
        return archiveBytes(store, archives, archive, start, end);
      },
    };
  }
}

/** R15: the legal role serves requests for access to closed accounts, and nobody while an account is suspended. */
function assertServed({ principal }: Call, { state }: AccountDocument): void {
  if (principal.role !== 'legal' || state === 'expired') return;
  if (state === 'suspended') throw new Problem('account-suspended', 'while an account is suspended nobody exports it');
  throw new Problem('forbidden', 'the legal role exports closed accounts only (R15)');
}

function answerFor(document: ExportDocument): Answer {
  const { account, _id } = document;
  return { status: 202, body: exportFor(document), headers: { Location: `/v1/accounts/${account}/exports/${_id}` } };
}

/** Clients know four ends; that the time has passed is a reason to be withdrawn. */
function representedStatus(status: ExportDocument['status']): string {
  return status === 'expired' ? 'withdrawn' : status;
}

/** An export as the API shows it. */
function exportFor(document: ExportDocument): Record<string, unknown> {
  const { _id, status, reason, datasets, from, to, at, progress, bytes, records } = document;
  const { sha256, expiresAt } = status === 'ready' ? document : {};
  const why = status === 'expired' ? status : reason;
  return {
    id: _id,
    status: representedStatus(status),
    ...(why === undefined ? {} : { reason: why }),
    createdAt: at.toISOString(),
    categories: datasets,
    ...(from === undefined ? {} : { from: from.toISOString() }),
    to: to.toISOString(),
    progress: { done: progress.done, total: progress.total ?? null },
    bytes,
    records,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() }),
  };
}
