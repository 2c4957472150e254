/** What the rotation of keys asks of the world (R21). */
import { activityInfo, cancellationSignal, log } from '@temporalio/activity';
import { auditOnce } from '../data';
import {
  rewrapKeys,
  rewrapSystemKeys,
  surveyKeys,
  targetCalled,
  type KeySurvey,
  type RewrapReport,
  type Vault,
} from '../vault';
import { beating } from './beating';
import type { ActivityDependencies } from './dependencies';

/** A key that is not wrapped under the new master key alone, and why. Names no account. */
export interface LeftKey {
  readonly key: string;
  readonly reason: string;
}

/** What there was when a rotation began. */
export interface BegunRotation {
  /** The ids of the other master keys that keys were wrapped under. */
  readonly from: readonly string[];
  /** Keys to see to, destroyed ones included. */
  readonly keys: number;
  readonly rewrapped: number;
}

/** What became of some keys. */
export interface RewrappedStretch {
  /** The last key that was seen to; absent once all are. */
  readonly after?: string;
  readonly seen: number;
  readonly rewrapped: number;
  /** The first few that could not be. */
  readonly failures: readonly LeftKey[];
}

/** How the key store stands. */
export interface RotationFindings {
  readonly keys: number;
  readonly destroyed: number;
  /** Keys that are not wrapped under the new master key alone. */
  readonly left: number;
  readonly leftKeys: readonly LeftKey[];
}

/** A stretch ends after this long, in milliseconds. */
const stretch = 30_000;
const namedKeys = 100;

/** How far a worker that died had come, by its last heartbeat. */
interface Beat {
  readonly after: string;
  readonly seen: number;
  readonly rewrapped: number;
}

/** Re-wrapping keys, and replacing the signing key. */
export function rotationActivities({ store }: Pick<ActivityDependencies, 'store'>) {
  const { vault } = store;
  const { keyStore, region, masterKeys } = vault;

  function survey(accepted: ReadonlySet<string>, tell: (progress: unknown) => void): Promise<KeySurvey> {
    const signal = cancellationSignal();
    return surveyKeys(keyStore, {
      region,
      accepted,
      named: namedKeys,
      progress(seen) {
        signal.throwIfAborted();
        tell({ seen });
      },
    });
  }

  return {
    /**
     * Puts on record that a rotation begins, and re-wraps the deployment's own keys: from then on every process that has the
     * new master key wraps new keys under it.
     */
    beginRotation({ to, entry }: { readonly to: string; readonly entry: string }): Promise<BegunRotation> {
      return beating(async (tell) => {
        const target = targetCalled(to, masterKeys);
        const { keys, destroyed, masters } = await survey(new Set(masterKeys.accepted.keys()), tell);
        const from = Object.keys(masters)
          .filter((id) => id !== to)
          .sort();
        const details = { to, from: from.map((id) => ({ master: id, keys: masters[id] })), keys, destroyed };
        await auditOnce(store, { id: entry, action: 'keys.rotation-started', details });
        const { rewrapped } = await rewrapSystemKeys(keyStore, region, masterKeys, target);
        return { from, keys: keys + destroyed, rewrapped };
      });
    },

    /** Re-wraps keys for half a minute, in the order of their ids. */
    rewrapStretch({ to, after }: { readonly to: string; readonly after?: string }): Promise<RewrappedStretch> {
      return beating(async (tell) => {
        const target = targetCalled(to, masterKeys);
        const signal = cancellationSignal();
        const end = performance.now() + stretch;
        const before = beatBefore(after);
        const count = ({ rewrapped, already, destroyed, failures }: RewrapReport) => ({
          seen: before.seen + rewrapped + already + destroyed + failures.length,
          rewrapped: before.rewrapped + rewrapped,
        });
        const from = before.after === undefined ? {} : { after: before.after };
        const report = await rewrapKeys(keyStore, region, masterKeys, target, {
          ...from,
          enough() {
            signal.throwIfAborted();
            return performance.now() > end;
          },
          progress: (last, soFar) => tell({ after: last, ...count(soFar) } satisfies Beat),
        });
        for (const { key, reason } of report.failures.slice(0, namedKeys)) {
          log.error(`the key ${key} cannot be re-wrapped: ${reason}`, { alert: 'key-not-rewrapped', reason });
        }
        return {
          ...(report.after === undefined ? {} : { after: report.after }),
          ...count(report),
          failures: report.failures.slice(0, namedKeys),
        };
      });
    },

    /**
     * Looks through the key store for keys that are not wrapped under the new master key alone. Where there are none, or none
     * that can be helped, it is put on record.
     */
    concludeRotation(question: {
      readonly to: string;
      readonly from: readonly string[];
      readonly entry: string;
      readonly last: boolean;
    }): Promise<RotationFindings> {
      return beating(async (tell) => {
        const { to, from, entry, last } = question;
        const { keys, destroyed, strangers, strange } = await survey(new Set([to]), tell);
        const counts = { to, from, keys, destroyed };
        if (strangers === 0) {
          await auditOnce(store, { id: entry, action: 'keys.rotated', details: counts });
        } else if (last) {
          const details = { ...counts, left: strangers, leftKeys: strange.map(({ key }) => key) };
          await auditOnce(store, { id: entry, action: 'keys.rotation-incomplete', details });
          log.error(`${strangers} keys could not be re-wrapped`, { alert: 'rotation-incomplete' });
        }
        return { keys, destroyed, left: strangers, leftKeys: strange };
      });
    },

    /** @returns the thumbprint of the signing key in use */
    readSigningKey(): Promise<string> {
      return signingKeyIn(vault);
    },

    /** Replaces a signing key, and puts that on record. @returns the thumbprint of the one in use then */
    async renewSigningKey({ kid, entry }: { readonly kid: string; readonly entry: string }): Promise<string> {
      const [now] = await vault.renewSigningKey(kid);
      const details = { from: kid, to: now?.kid };
      await auditOnce(store, { id: entry, action: 'keys.signing-rotated', details });
      return now?.kid ?? kid;
    },
  };
}

/** Where the attempt before left off, if one did. */
function beatBefore(after: string | undefined): { after?: string; seen: number; rewrapped: number } {
  const beat = activityInfo().heartbeatDetails as Beat | undefined;
  return beat ?? { seen: 0, rewrapped: 0, ...(after === undefined ? {} : { after }) };
}

async function signingKeyIn(vault: Vault): Promise<string> {
  const [{ kid } = { kid: '' }] = await vault.publicKeys();
  return kid;
}
