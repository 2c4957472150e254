/** What an erasure would do, and what keeps erasures back (R6). */
import { permissions } from '../../access';
import {
  countHeldBack,
  erasurePlan,
  guardState,
  heldBackAccounts,
  releaseHeldBack,
  type GuardSettings,
  type Store,
} from '../../data';
import { workflowIdOf } from '../../temporal';
import { wakeSignalName } from '../../workflows';
import { erasureGuardShape, erasurePlanShape, releasedShape } from '../answers/data';
import { answers } from '../answers/words';
import { Problem } from '../problems';
import { route, type Route } from '../route';
import { accountParamsSchema, noQuerySchema, releaseSchema } from '../schemas';
import { openAccount } from '../standing';
import type { Workshop } from '../workshop';
import { write } from '../writes';

/** As many as are shown, and let go, at once. */
const mostAtOnce = 1000;

export function erasureRoutes(workshop: Workshop): Route[] {
  const { store, guard } = workshop;
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id/erasure-plan',
      roles: permissions.readErasurePlan,
      summary: 'Says what erasing an account would do, when and under which rules.',
      answers: answers(erasurePlanShape, 'The plan', ['ETag']),
      params: accountParamsSchema,
      query: noQuerySchema,
      async handle(call) {
        const account = await openAccount(workshop, call, call.params.id);
        return { status: 200, body: await erasurePlan(store, account), version: account.version };
      },
    }),
    route({
      method: 'get',
      path: '/v1/settings/erasure-guard',
      roles: permissions.readSettings,
      summary: 'Says what the breaker keeps back.',
      answers: answers(erasureGuardShape, 'How the breaker stands'),
      query: noQuerySchema,
      handle: async () => ({ status: 200, body: await standingOf(store, guard) }),
    }),
    route({
      method: 'post',
      path: '/v1/settings/erasure-guard/release',
      roles: permissions.releaseErasures,
      stepUp: 'settings',
      act: 'erasure-release',
      summary: 'Lets go erasures the breaker keeps back: those named, or all there are.',
      answers: answers(releasedShape, 'Whom it let go'),
      query: noQuerySchema,
      body: releaseSchema,
      async handle(call) {
        const at = await store.databaseTime();
        const { accounts: named, note } = call.body;
        const accounts = named ?? (await heldBackAccounts(store, mostAtOnce)).map(({ account }) => account);
        let released: string[] = [];
        const answer = await write(workshop, call, async (session) => {
          released = await releaseHeldBack(store, session, accounts, call.principal.actor, at);
          const strangers = (named ?? []).filter((account) => !released.includes(account));
          if (strangers.length > 0) throw new Problem('conflict', `not kept back: ${strangers.join(', ')}`);
          const details = { released: released.length, ...(note === undefined ? {} : { note }) };
          return {
            answer: { status: 200, body: { released, left: (await countHeldBack(store)) - released.length } },
            entry: { action: 'erasure-guard.released', details },
          };
        });
        await wake(released);
        return answer;
      },
    }),
  ];

  /** Whoever is not reached looks by itself within the hour. */
  async function wake(accounts: readonly string[]): Promise<void> {
    const ids = accounts.map((account) => workflowIdOf(workshop.region, account));
    for (let start = 0; start < ids.length; start += wokenAtOnce) {
      const some = ids.slice(start, start + wokenAtOnce);
      const outcomes = await Promise.allSettled(some.map((id) => workshop.jobs.signal(id, wakeSignalName)));
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed === undefined) continue;
      workshop.log.warn({ err: failed.reason as unknown }, 'accounts that were let go could not be woken');
      return;
    }
  }
}

const wokenAtOnce = 50;

async function standingOf(store: Store, guard: GuardSettings) {
  const now = await store.databaseTime();
  const [state, heldBack, items] = await Promise.all([
    guardState(store, guard, now),
    countHeldBack(store),
    heldBackAccounts(store, mostAtOnce),
  ]);
  return {
    ...state,
    share: guard.share,
    minimum: guard.minimum,
    heldBack,
    items: items.map(({ account, due, since }) => ({
      account,
      ...(due === undefined ? {} : { due: due.toISOString() }),
      since: since.toISOString(),
    })),
  };
}
