/** The policy in force for an account (R7, R11), and what changing it would do (R12). */
import { randomUUID } from 'node:crypto';
import { may, permissions } from '../../access';
import {
  cutoffOf,
  effectiveSettings,
  holdableDataSets,
  previewPurge,
  type AccountDocument,
  type PurgeShare,
} from '../../data';
import { deadlineOf, decide, heldBy, isHeld, policyInForce, type CommandBody, type Lifecycle } from '../../lifecycle';
import { policyPreviewShape, policyShape } from '../answers/accounts';
import { answers } from '../answers/words';
import { send } from '../commands';
import { refusalProblem } from '../failures';
import { assertConfirmed, confirmationOf, isLowered } from '../purge';
import { route, type Call, type Route } from '../route';
import { accountParamsSchema, changePolicySchema, noQuerySchema } from '../schemas';
import { openAccount } from '../standing';
import type { Workshop } from '../workshop';

export function policyRoutes(workshop: Workshop): Route[] {
  const { store, courses, defaults, clock } = workshop;
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id/policy',
      roles: permissions.readPolicy,
      summary: 'Reads the policy in force for an account.',
      answers: answers(policyShape, 'The policy', ['ETag']),
      params: accountParamsSchema,
      query: noQuerySchema,
      async handle(call) {
        const account = await openAccount(workshop, call, call.params.id);
        const settings = await defaults.current();
        return { status: 200, body: policyInForce(account.lifecycle.overrides, settings), version: account.version };
      },
    }),
    route({
      method: 'patch',
      path: '/v1/accounts/:id/policy',
      roles: permissions.changePolicy,
      summary: "Changes an account's policy; what purges records needs the confirm of a preview.",
      answers: answers(policyShape, 'The policy', ['ETag']),
      params: accountParamsSchema,
      query: noQuerySchema,
      body: changePolicySchema,
      async handle(call) {
        const { id } = call.params;
        const { confirm, ...change } = call.body;
        const [before] = await Promise.all([openAccount(workshop, call, id), courses.reach()]);
        // A repeat too: that its key is known says nothing of a confirmation. One that was carried out lowers nothing.
        await assertSeen(before, call, change, confirm);
        const { account } = await send(workshop, call, id, 'changePolicy', change);
        const settings = await defaults.current();
        return { status: 200, body: policyInForce(account.lifecycle.overrides, settings), version: account.version };
      },
    }),
    route({
      method: 'post',
      path: '/v1/accounts/:id/policy/preview',
      roles: permissions.changePolicy,
      summary: 'Says what a change of policy would purge and move; changes nothing.',
      answers: answers(policyPreviewShape, 'What it would do'),
      idempotent: false,
      params: accountParamsSchema,
      query: noQuerySchema,
      body: changePolicySchema,
      async handle(call) {
        const account = await openAccount(workshop, call, call.params.id);
        const next = await decided(account, call, call.body);
        const days = loweredDays(account.lifecycle, next);
        const now = clock();
        const cutoff = cutoffOf(days ?? 0, now);
        const purge = days === undefined ? [] : await previewPurge(store, account._id, cutoff);
        return {
          status: 200,
          body: {
            purge: may(call.principal.role, 'seeHolds') ? marked(purge, account) : purge,
            deadline: { before: deadlineOf(account.lifecycle)?.at ?? null, after: deadlineOf(next)?.at ?? null },
            confirm: confirmationOf(account._id, days ?? null, cutoff, purge),
          },
        };
      },
    }),
  ];

  /** @throws {Problem} conflict, where records would go that nobody has seen */
  async function assertSeen(
    account: AccountDocument,
    call: Call,
    change: CommandBody<'changePolicy'>,
    confirm: string | undefined,
  ): Promise<void> {
    if (change.activeRetentionDays === undefined || change.activeRetentionDays === null) return;
    const days = loweredDays(account.lifecycle, await decided(account, call, change));
    if (days !== undefined) await assertConfirmed(store, account._id, days, confirm, clock());
  }

  /** What the account would become. @throws {Problem} the change would be refused */
  async function decided(
    account: AccountDocument,
    { principal }: Call,
    body: CommandBody<'changePolicy'>,
  ): Promise<Lifecycle> {
    const decision = decide(
      account.lifecycle,
      { name: 'changePolicy', body },
      {
        account: account._id,
        now: clock().toISOString(),
        actor: principal.actor,
        plan: account.plan ?? 'standard',
        settings: await effectiveSettings(store, workshop.settings),
        datasets: holdableDataSets,
        newId: randomUUID,
      },
    );
    if ('refused' in decision) throw refusalProblem(decision.refused);
    return decision.step.next;
  }
}

/** What a hold protects goes once nothing holds it any more. Only who may see holds is told (R9). */
function marked(purge: readonly PurgeShare[], { lifecycle }: AccountDocument): unknown[] {
  const held = heldBy(lifecycle.holds);
  return purge.map((share) => (isHeld(held, share.dataset) ? { ...share, held: true } : share));
}

function loweredDays(before: Lifecycle, after: Lifecycle): number | undefined {
  const days = after.overrides.activeRetentionDays ?? null;
  return isLowered(before.overrides.activeRetentionDays ?? null, days) ? days : undefined;
}
