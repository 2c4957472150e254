/** What erasing an account would do, as it stands (R6, R9, R10, R22): read by people before it happens. */
import { deadlineOf, heldBy } from '../lifecycle';
import type { AccountDocument } from './documents';
import { dataSets, ownedBy, type DataSet } from './map';
import { countOf, planFor, recorded, type PlanStep } from './plan';
import { activeProcessorNames } from './processors';
import { statutoryEnd } from './seal';
import type { Store } from './store';

/** Something an erasure waits for. */
export interface Blocker {
  readonly kind: 'state' | 'hold' | 'breaker' | 'clocks' | 'delay';
  /** The hold's id. */
  readonly id?: string;
  readonly detail: string;
  /** When it ends by itself. */
  readonly until?: string;
}

/** A plan with what it comes to at the moment. */
export interface ErasurePlan {
  /** Covers data sets, actions and rules: it stays the same while only records come and go. */
  readonly hash: string;
  /** When the erasure is due; nothing where no date is set. */
  readonly due: string | null;
  readonly steps: readonly (PlanStep & { readonly records: number; readonly until?: string })[];
  readonly blockedBy: readonly Blocker[];
}

/** The plan for an account as it is now. */
export async function erasurePlan(store: Store, account: AccountDocument): Promise<ErasurePlan> {
  const held = heldBy(account.lifecycle.holds);
  const plan = planFor(held, await activeProcessorNames(store));
  const steps = await Promise.all(
    plan.map(async (step) => {
      const set = dataSets.find(({ name }) => name === step.dataset);
      const records = set === undefined ? 0 : await countOf(store, account._id, set);
      const until =
        step.action === 'seal' && set !== undefined ? await sealedUntil(store, account._id, set) : undefined;
      return { ...step, records, ...(until === undefined ? {} : { until: until.toISOString() }) };
    }),
  );
  const deadline = deadlineOf(account.lifecycle);
  return {
    hash: recorded(plan).hash,
    due: deadline?.action === 'erase' ? deadline.at : null,
    steps,
    blockedBy: blockersOf(account),
  };
}

function blockersOf({ state, lifecycle, heldBack, delays = [] }: AccountDocument): Blocker[] {
  const kept = heldBack !== undefined && heldBack.releasedAt === undefined;
  return [
    ...(state === 'expired' ? [] : [{ kind: 'state', detail: `the account is ${state}` } as const]),
    ...lifecycle.holds.map(({ id, datasets, until }): Blocker => ({
      kind: 'hold',
      id,
      detail: datasets === undefined ? 'holds everything' : `holds ${datasets.join(', ')}`,
      ...(until === undefined ? {} : { until }),
    })),
    ...(kept ? [{ kind: 'breaker', detail: 'too many erasures fell due within a day' } as const] : []),
    ...delays
      .filter(({ until, reason }) => until === undefined && reason !== 'held-back')
      .map(({ reason, detail }): Blocker => ({ kind: reason === 'clocks-disagree' ? 'clocks' : 'delay', detail })),
  ];
}

/** When the last of what the law would keep goes (R10): by the latest date that stands on any of it. */
async function sealedUntil(store: Store, account: string, set: DataSet): Promise<Date | undefined> {
  if (set.statutory === undefined) return undefined;
  const [latest] = await store.connection
    .collection<{ issuedOn: string }>(set.collection)
    .find(ownedBy(account, set), { sort: { issuedOn: -1 }, limit: 1, projection: { issuedOn: 1 } })
    .toArray();
  return latest === undefined ? undefined : statutoryEnd(latest.issuedOn, set.statutory);
}
