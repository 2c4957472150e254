/** What the rotation of data keys asks of the world (R21). */
import { activityInfo, cancellationSignal, log } from '@temporalio/activity';
import {
  auditOnce,
  emptyTally,
  joinTallies,
  reencrypt,
  WrongRegionError,
  type ReencryptTally,
  type WalkPosition,
} from '../data';
import { addVersions, keysAfter, keysOf, useVersions, type KeyTally } from '../vault';
import { beating } from './beating';
import type { ActivityDependencies } from './dependencies';

/** Which keys, and for which rotation. */
interface Whose {
  readonly region: string;
  /** The rotation's id, which its versions carry. */
  readonly rotation: string;
  /** One account's alone. @default all there are */
  readonly account?: string;
}

/** What became of some keys. Plain JSON. */
export interface KeysStretch extends KeyTally {
  /** The last key seen to; absent once all are. */
  readonly after?: string;
}

/** What became of some stored values. Plain JSON. */
export interface ReencryptedStretch {
  readonly tally: ReencryptTally;
  /** Where to go on; absent once all is seen to. */
  readonly next?: WalkPosition;
}

/** How far a worker that died had come, by its last heartbeat. */
interface Beat {
  readonly tally: ReencryptTally;
  readonly next: WalkPosition;
}

const keysAtOnce = 200;
/** A stretch ends after this long, in milliseconds. */
const stretch = 30_000;

/** New versions of data keys, and encrypting under them what was encrypted before. */
export function dataRotationActivities({ store }: Pick<ActivityDependencies, 'store'>) {
  const { vault } = store;

  /** Sees to keys page by page until there are no more, time is up, or some of them have to wait. */
  function seeTo(
    { region, rotation, account }: Whose,
    from: string | undefined,
    see: (ids: readonly string[], rotation: string) => Promise<KeyTally>,
  ): Promise<KeysStretch> {
    if (region !== store.region) throw new WrongRegionError(`this belongs to ${region}, and here is ${store.region}`);
    return beating(async (tell) => {
      if (account !== undefined) return see(Object.values(keysOf(vault, account)), rotation);
      const signal = cancellationSignal();
      const end = performance.now() + stretch;
      let tally: KeyTally = { changed: 0, known: 0, passed: 0, waitFor: 0 };
      for (let after = from; ;) {
        signal.throwIfAborted();
        const ids = await keysAfter(vault, after, keysAtOnce);
        tally = joined(tally, await see(ids, rotation));
        tell({ ...tally });
        const last = ids.at(-1) ?? after;
        if (ids.length < keysAtOnce) return tally;
        after = last;
        if (performance.now() > end && last !== undefined) return { ...tally, after: last };
      }
    });
  }

  return {
    /** Puts on record that a rotation of data keys begins. */
    async beginDataRotation({ rotation, ...scope }: Whose & { readonly reencrypts: boolean }): Promise<void> {
      await record({ rotation, ...scope }, 'keys.data-rotation-started', { reencrypts: scope.reencrypts });
    },

    /** Adds a version to data keys, in the order of their ids; see {@link addVersions}. */
    addKeyVersions({ after, ...whose }: Whose & { readonly after?: string }): Promise<KeysStretch> {
      return seeTo(whose, after, (ids, rotation) => addVersions(vault, rotation, ids));
    },

    /** Has them used, where it is time; see {@link useVersions}. What has to wait is asked for again with the same `after`. */
    useKeyVersions({ after, ...whose }: Whose & { readonly after?: string }): Promise<KeysStretch> {
      return seeTo(whose, after, (ids, rotation) => useVersions(vault, rotation, ids));
    },

    /** For how long some process may still encrypt under the version before, in milliseconds. */
    settlingTime(): Promise<number> {
      return Promise.resolve(2 * vault.cacheFor);
    },

    /** Encrypts anew what is under older versions, for about half a minute, or looks how much that is; see {@link reencrypt}. */
    reencryptData(
      question: Omit<Whose, 'rotation'> & { readonly from?: WalkPosition; readonly onlyLook?: true },
    ): Promise<ReencryptedStretch> {
      const { region, account, from, onlyLook } = question;
      if (region !== store.region) throw new WrongRegionError(`this belongs to ${region}, and here is ${store.region}`);
      return beating(async (tell) => {
        const signal = cancellationSignal();
        const before = activityInfo().heartbeatDetails as Beat | undefined;
        const start = before?.next ?? from;
        const counted = before?.tally ?? emptyTally;
        const outcome = await reencrypt(
          store,
          {
            ...(account === undefined ? {} : { account }),
            ...(start === undefined ? {} : { from: start }),
            ...(onlyLook === undefined ? {} : { onlyLook }),
          },
          {
            budget: stretch,
            checkpoint: () => signal.throwIfAborted(),
            progress(tally, next) {
              if (next !== undefined) tell({ tally: joinTallies(counted, tally), next } satisfies Beat);
            },
            unreadable: ({ collection, field, id }) => {
              log.error(`a value does not open, and stays as it is: ${collection}.${field} of ${id}`, {
                alert: 'value-unreadable',
                collection,
                field,
                id,
              });
            },
          },
        );
        return { ...outcome, tally: joinTallies(counted, outcome.tally) };
      });
    },

    /** Puts on record what came of a rotation of data keys. */
    async concludeDataRotation({
      counts,
      ...whose
    }: Whose & { readonly counts: Readonly<Record<string, number>> }): Promise<void> {
      await record(whose, 'keys.data-rotated', counts);
    },
  };

  function record({ rotation, account }: Whose, action: string, details: Readonly<Record<string, unknown>>) {
    return auditOnce(store, {
      id: `${rotation}/${action}`,
      action,
      details: { rotation, ...details },
      ...(account === undefined ? {} : { account }),
    });
  }
}

function joined(a: KeyTally, b: KeyTally): KeyTally {
  return {
    changed: a.changed + b.changed,
    known: a.known + b.known,
    passed: a.passed + b.passed,
    waitFor: Math.max(a.waitFor, b.waitFor),
  };
}
