/*
 * Replacing a region's master key (R21): every key is wrapped under the new one.
 *
 * 1. Old and new are accepted all the while, by every process that was given both. The keys themselves do not change.
 * 2. It holds nothing: each stretch reads what is there and writes over nothing that changed. It may be killed, or ended and
 *    started again, at any moment.
 * 3. It goes through all keys again until none is left under another master key, and says that it is complete only once the key
 *    store itself says so. What cannot be re-wrapped stays as it is, and is named.
 * 4. A worker that was not given the new master key takes no part: the step is tried again until another one has it.
 */
import {
  makeContinueAsNewFunc,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, LeftKey } from '../activities';
import {
  rotationProgressQuery,
  type RotationInput,
  type RotationOutcome,
  type RotationProgress,
  type SigningRotationInput,
  type SigningRotationOutcome,
} from './rotation-input';

// What is re-wrapped stays so: each may be tried again for as long as it takes.
const { beginRotation, rewrapStretch, concludeRotation, readSigningKey, renewSigningKey } = proxyActivities<Activities>(
  {
    startToCloseTimeout: '1 hour',
    heartbeatTimeout: '10 seconds',
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '10 seconds' },
  },
);

/** Re-wraps all keys of a region. See the top of this file for what it promises. */
export async function rotationWorkflow(input: RotationInput): Promise<RotationOutcome> {
  const { to } = input;
  let progress: RotationProgress = input.carried?.progress ?? {
    to,
    from: [],
    step: 'beginning',
    keys: 0,
    seen: 0,
    rewrapped: 0,
    pass: 1,
  };
  const show = (news: Partial<RotationProgress>) => {
    progress = { ...progress, ...news };
    setCurrentDetails(details(progress));
  };
  setHandler(rotationProgressQuery, () => progress);
  const entry = input.carried?.entry ?? uuid4();
  let after = input.carried?.after;
  let moved = input.carried?.moved ?? 0;
  let failures = input.carried?.failures ?? [];
  if (input.carried === undefined) {
    const begun = await beginRotation.executeWithOptions({ summary: 'Look at all keys, begin with our own' }, [
      { to, entry: `${entry}/started` },
    ]);
    show({ from: begun.from, keys: begun.keys, rewrapped: begun.rewrapped });
  }
  for (;;) {
    show({ step: 're-wrapping' });
    do {
      const summary = `Re-wrap keys, ${progress.seen} of ${progress.keys} seen to`;
      const report = await rewrapStretch.executeWithOptions({ summary }, [
        { to, ...(after === undefined ? {} : { after }) },
      ]);
      after = report.after;
      moved += report.rewrapped;
      failures = [...failures, ...report.failures].slice(0, namedKeys);
      show({ seen: progress.seen + report.seen, rewrapped: progress.rewrapped + report.rewrapped });
      if (after !== undefined && workflowInfo().continueAsNewSuggested) {
        await makeContinueAsNewFunc<typeof rotationWorkflow>()({
          ...input,
          carried: { progress, after, entry, moved, failures },
        });
      }
    } while (after !== undefined);
    show({ step: 'checking' });
    const found = await concludeRotation.executeWithOptions({ summary: 'Look under which master key each key is' }, [
      // Where a whole pass moved nothing, another one will not either.
      { to, from: progress.from, entry: `${entry}/ended`, last: moved === 0 },
    ]);
    if (found.left === 0 || moved === 0) {
      show({ step: 'ended' });
      const { keys, destroyed, left } = found;
      const leftKeys = reasoned(found.leftKeys, failures);
      const { from, rewrapped } = progress;
      return { to, from, complete: left === 0, keys, destroyed, rewrapped, left, leftKeys };
    }
    [moved, failures] = [0, []];
    show({ seen: 0, pass: progress.pass + 1 });
  }
}

/** Named in the outcome; `ablauf keys status` names all. */
const namedKeys = 100;

/** What is left, for the reason it was met with. */
function reasoned(left: readonly LeftKey[], failures: readonly LeftKey[]): LeftKey[] {
  const reasons = new Map(failures.map(({ key, reason }) => [key, reason]));
  return left.map(({ key, reason }) => ({ key, reason: reasons.get(key) ?? reason }));
}

function details({ to, from, step, keys, seen, rewrapped, pass }: RotationProgress): string {
  return [
    `**${step === 'ended' ? 'Ended' : step}** · ${seen} of ${keys} keys seen to · ${rewrapped} re-wrapped`,
    `- to \`${to}\`${from.length === 0 ? '' : ` from ${from.map((id) => `\`${id}\``).join(', ')}`}`,
    ...(pass > 1 ? [`- pass ${pass}: keys had come under another master key meanwhile, or could not be opened`] : []),
  ].join('\n');
}

/** Replaces the signing key. Those before stay published. */
export async function signingRotationWorkflow(_input: SigningRotationInput): Promise<SigningRotationOutcome> {
  const entry = uuid4();
  const before = await readSigningKey.executeWithOptions({ summary: 'Look which signing key is in use' }, []);
  const now = await renewSigningKey.executeWithOptions({ summary: 'Replace the signing key' }, [
    { kid: before, entry },
  ]);
  setCurrentDetails(`Signing with \`${now}\`; \`${before}\` stays published`);
  return { before, now };
}
