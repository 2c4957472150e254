/**
 * What an erasure would do, before it does anything: every place customer data lies, what becomes of it, and under which
 * rule. The plan in force when an erasure begins is recorded with it, and each batch is held against it.
 */
import { hash } from 'node:crypto';
import { isHeld, type Held } from '../lifecycle';
import type { RecordedPlan } from './documents';
import { PlanDeviationError } from './errors';
import { dataSets, holdableDataSets, type DataSet } from './map';
import { ownedIn } from './names';
import { activeProcessorNames } from './processors';
import type { Store } from './store';

/** What becomes of a data set. */
export type PlanAction =
  /** Deleted. */
  | 'erase'
  /** Kept out of every reach but the legal role's, until the law lets it go (R10). */
  | 'seal'
  /** Kept because a hold protects it (R9). */
  | 'hold'
  /** Reduced to what a tombstone holds. */
  | 'reduce'
  /** Kept, for the reason the data map gives. */
  | 'keep'
  /** A processor is told to erase what it has. */
  | 'tell';

/** One step of a plan. */
export interface PlanStep {
  readonly dataset: string;
  readonly action: PlanAction;
  readonly rule: string;
}

const rules: Readonly<Record<PlanAction, string>> = {
  erase: 'R6',
  seal: 'R10',
  hold: 'R9',
  reduce: 'R8',
  keep: 'R20',
  tell: 'R6',
};

/**
 * The plan for an account under these holds.
 *
 * @param processors names of those who would be told
 * @returns its steps in the order they are carried out
 */
export function planFor(held: Held, processors: readonly string[]): PlanStep[] {
  const steps = dataSets.map((set) => stepOf(set.name, actionFor(set, held), set));
  return [...steps, ...processors.map((name) => stepOf(`processor:${name}`, 'tell'))];
}

function actionFor(set: DataSet, held: Held): PlanAction {
  // A hold on chosen data sets leaves what lies beside them to erasure.
  if (held === 'everything' ? set.erasure !== 'keep' : isHeld(held, set.name)) return 'hold';
  if (held.length > 0 && (set.erasure === 'delete-last' || set.erasure === 'reduce')) return 'hold';
  if (set.erasure === 'delete' || set.erasure === 'delete-last') return 'erase';
  return set.erasure;
}

function stepOf(dataset: string, action: PlanAction, set?: DataSet): PlanStep {
  const keptByLaw = action === 'keep' && set?.name === 'sealed';
  return { dataset, action, rule: keptByLaw ? 'R10' : rules[action] };
}

/** A plan as it is recorded. Its hash covers data sets, actions and rules, and nothing that changes from day to day. */
export function recorded(steps: readonly PlanStep[]): RecordedPlan {
  const plain = steps.map(({ dataset, action, rule }) => ({ dataset, action, rule }));
  return {
    hash: hash('sha256', JSON.stringify(plain.map((step) => [step.dataset, step.action, step.rule]))),
    steps: plain,
  };
}

/** How many documents an account has in a data set. */
export function countOf(store: Store, account: string, set: DataSet): Promise<number> {
  return store.connection.collection(set.collection).countDocuments(ownedIn(store, account, set));
}

/** The data sets that holds had chosen when a plan was made; what lies beside the records waits with them, unnamed. */
export function heldIn({ steps }: RecordedPlan): string[] {
  return steps
    .filter(({ dataset, action }) => action === 'hold' && holdableDataSets.includes(dataset))
    .map(({ dataset }) => dataset);
}

/**
 * Makes sure that this very code, with the processors there are, would plan just what is in force.
 *
 * @throws {PlanDeviationError} it would not: the code, or whom to tell, has changed since the erasure began
 */
export async function assertAsPlanned(store: Store, account: string, inForce: RecordedPlan): Promise<void> {
  const now = recorded(planFor(heldIn(inForce), await activeProcessorNames(store)));
  if (now.hash === inForce.hash) return;
  const differing = [...new Set([...now.steps, ...inForce.steps].map(({ dataset }) => dataset))].filter(
    (dataset) => JSON.stringify(stepIn(now, dataset)) !== JSON.stringify(stepIn(inForce, dataset)),
  );
  throw new PlanDeviationError(
    `the erasure of account ${account} would deviate from the plan in force (${inForce.hash.slice(0, 12)}) in ${differing.join(', ') || 'the order of its steps'}`,
  );
}

function stepIn({ steps }: RecordedPlan, dataset: string): RecordedPlan['steps'][number] | undefined {
  return steps.find((step) => step.dataset === dataset);
}
