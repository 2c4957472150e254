/** `ablauf keys rotate`: wraps every key under the new master key (R21). */
import { readConfig } from '../config';
import { openRotations, type RotationHandle } from '../temporal';
import type { RotationOutcome } from '../workflows';
import { inDeployment, print, refuse, say } from './deployment';
import { follow } from './follow';
import { readKeyStatus, statusLines, type KeyStatus } from './keys-status';
import type { KeyRotation } from './rotation';

export const masterRotation: KeyRotation = {
  description:
    'wrap every key under the new master key: the next one (…_NEXT), or the one in use where there is no next one',
  async run({ json, detach }) {
    const config = readConfig(process.env);
    const status = await readKeyStatus(config);
    const to = status.given.next ?? status.given.inUse;
    const tell = json === true ? () => undefined : say;
    statusLines(status).forEach(tell);
    if (status.strangers > 0) {
      refuseUnknown(status);
      if (json === true) print({ to, begun: false, left: status.strangers, leftKeys: status.strange });
      return;
    }
    await inDeployment(async ({ client }) => {
      const rotations = openRotations({ client, region: config.region, ...config.temporal });
      const running = await rotations.running();
      if (running === undefined && isDone(status, to)) {
        tell(`There is nothing to do: every key is wrapped under ${to}.`);
        if (json === true) print({ to, nothingToDo: true, keys: status.keys, destroyed: status.destroyed });
        return;
      }
      tell(running === undefined ? announcement(status, to) : 'A rotation runs already; this joins it.');
      const rotation = running ?? (await rotations.start(to));
      const other = await leadsElsewhere(rotation, to);
      if (other !== undefined) {
        refuse(`the rotation that runs leads to ${other}, not to ${to}: let it end first (${rotation.workflowId})`);
        return;
      }
      if (detach === true) {
        tell(`It goes on without this command: workflow ${rotation.workflowId}.`);
        if (json === true) print({ to, workflow: rotation.workflowId });
        return;
      }
      const outcome = await follow(rotation.outcome(), () => lineOf(rotation), tell);
      if (json === true) print(outcome);
      report(outcome, tell);
    });
  },
};

/** Keys could not be opened: nothing is begun. */
function refuseUnknown({ strangers, strange }: KeyStatus): void {
  refuse(`nothing was begun: ${strangers} keys cannot be opened with the master keys given here`);
  for (const { key, reason } of strange) refuse(`  ${key}: ${reason}`);
  if (strangers > strange.length) refuse('  … and others: ablauf keys status names all');
  refuse(
    'give the master keys they are wrapped under as LITELLM_MASTER_KEY_PREVIOUS or ABLAUF_KMS_KEY_PREVIOUS, here and to every process',
  );
}

function isDone({ masters, keys }: KeyStatus, to: string): boolean {
  return keys > 0 && Object.keys(masters).every((id) => id === to);
}

function announcement({ keys, masters, given }: KeyStatus, to: string): string {
  const others = Object.keys(masters).filter((id) => id !== to);
  return [
    `${keys} keys will be wrapped under ${to} (${given.next === to ? 'next' : 'in use'}), by a`,
    `worker. They stay the keys they are, and everything goes on meanwhile. A process that has not been given that master`,
    `key cannot open them any more. Keep ${others.join(', ')} until it is done, and as long as backups of the key store are`,
    'kept.',
  ].join('\n');
}

async function leadsElsewhere(rotation: RotationHandle, to: string): Promise<string | undefined> {
  const progress = await rotation.progress();
  return progress === undefined || progress.to === to ? undefined : progress.to;
}

async function lineOf(rotation: RotationHandle): Promise<string> {
  const [progress, trouble] = await Promise.all([rotation.progress(), rotation.trouble()]);
  if (progress === undefined) return 'no worker answers: it goes on as soon as one does';
  const { step, seen, keys, rewrapped, pass } = progress;
  const far = `${step}: ${seen} of ${keys} keys seen to, ${rewrapped} re-wrapped${pass > 1 ? `, pass ${pass}` : ''}`;
  if (trouble === undefined) return far;
  if (trouble !== 'RotationKeyError') return `${far}; tried again after ${trouble}: the worker's log says why`;
  return `${far}; waits for a worker that was given the new master key`;
}

function report(outcome: RotationOutcome, tell: (text: string) => void): void {
  const { complete, to, keys, destroyed, left, leftKeys } = outcome;
  if (complete) {
    tell(`Done: ${keys} keys are wrapped under ${to} and no other; ${destroyed} stay destroyed.`);
    return;
  }
  refuse(`${left} of ${keys} keys could not be wrapped under ${to}; they stay as they are, and nothing is lost:`);
  for (const { key, reason } of leftKeys) refuse(`  ${key}: ${reason}`);
}
