/** What is still to be done beside accounts' own courses, each by a workflow of its own, as it is recorded (R23). */
import { native } from '../database';
import type { RequestStatus } from './processor-models';
import type { Store } from './store';

/** One such thing, by opaque ids alone. */
export type Errand =
  /** Waiting for what the law keeps of an erased account (R10). */
  | { readonly kind: 'retained'; readonly subject: string }
  /** Erasing one person's records. */
  | { readonly kind: 'person'; readonly account: string; readonly request: string }
  /** Having a processor erase (R17). */
  | { readonly kind: 'processor'; readonly request: string };

const unanswered: readonly RequestStatus[] = ['open', 'received', 'in_progress'];
const idOnly = { projection: { _id: 1 } } as const;

/** Everything that is not done yet. Exports are not among it: those that are abandoned end by themselves. */
export async function* openErrands(store: Store): AsyncGenerator<Errand> {
  const kept = native(store.accounts).find({ retainedUntil: { $gt: new Date(0) } }, idOnly);
  for await (const { _id } of kept) yield { kind: 'retained', subject: store.vault.pseudonymOf(_id) };
  const persons = native(store.personRequests).find(
    { status: { $in: ['running', 'partly'] } },
    { projection: { account: 1 } },
  );
  for await (const { _id, account } of persons) yield { kind: 'person', account, request: _id };
  const told = native(store.processorRequests).find({ status: { $in: [...unanswered] } }, idOnly);
  for await (const { _id } of told) yield { kind: 'processor', request: _id };
}
