/** `ablauf keys rotate --data`: new versions of data keys, and encrypting under them what was encrypted before (R21). */
import { startDataRotation, type DataRotationHandle } from '../temporal';
import { currentVersions, keysOf } from '../vault';
import type { DataRotationOutcome } from '../workflows';
import { inDeployment, print, refuse, say } from './deployment';
import { follow } from './follow';
import type { KeyRotation, RotateOptions } from './rotation';

/** What it is asked with, beside what every rotation is. */
interface DataOptions extends RotateOptions {
  readonly account?: string;
  readonly reencrypt?: true;
}

export const dataRotation: KeyRotation & { readonly flag: string } = {
  flag: '--data',
  description: 'give the data keys new versions, which all that is written from then on is encrypted under',
  options: [
    { flag: '--account <id>', description: 'with --data: the keys of one account alone' },
    { flag: '--reencrypt', description: 'with --data: encrypt anew what is stored already, too' },
  ],
  async run(options: DataOptions) {
    const { json, detach, account, reencrypt } = options;
    const tell = json === true ? () => undefined : say;
    await inDeployment(async ({ config: { region, temporal }, client, vault }) => {
      if (account !== undefined && (await currentVersions(vault, Object.values(keysOf(vault, account)))).size === 0) {
        refuse(`there is no key of an account ${account}: it was never made, or is destroyed`);
        if (json === true) print({ begun: false });
        return;
      }
      const input = {
        region,
        ...(account === undefined ? {} : { account }),
        ...(reencrypt === undefined ? {} : { reencrypts: true }),
      };
      const pseudonym = account === undefined ? undefined : vault.pseudonymOf(account);
      const rotation = await startDataRotation({ client, taskQueue: temporal.taskQueue }, input, pseudonym);
      tell(
        rotation.joined ? 'A rotation of these keys runs already; this joins it.' : announcement(reencrypt === true),
      );
      if (detach === true) {
        tell(`It goes on without this command: workflow ${rotation.workflowId}.`);
        if (json === true) print({ workflow: rotation.workflowId, joined: rotation.joined });
        return;
      }
      const outcome = await follow(rotation.outcome(), () => lineOf(rotation), tell);
      if (json === true) print(outcome);
      report(outcome, tell);
    });
  },
};

function announcement(reencrypts: boolean): string {
  return [
    'A worker adds new versions of the data keys, and has them used as soon as every process knows them, after a minute.',
    reencrypts
      ? 'A minute later it begins to encrypt anew what is stored. Everything goes on meanwhile.'
      : 'What is stored already stays under the versions before. Everything goes on meanwhile.',
  ].join('\n');
}

async function lineOf(rotation: DataRotationHandle): Promise<string> {
  const [progress, trouble] = await Promise.all([rotation.progress(), rotation.trouble()]);
  if (progress === undefined) return 'no worker answers: it goes on as soon as one does';
  const { step, keys, used, renewed, left } = progress;
  const looked = step === 'checking' ? left : renewed;
  const far = [
    `${step}: ${keys} keys have a new version, ${used} use it`,
    ...(looked.documents > 0
      ? [`${looked.documents} documents looked at, ${renewed.values} values encrypted anew`]
      : []),
  ].join('; ');
  return trouble === undefined ? far : `${far}; tried again after ${trouble}: the worker's log says why`;
}

function report(outcome: DataRotationOutcome, tell: (text: string) => void): void {
  const { complete, reencrypted, keys, renewed, left } = outcome;
  tell(`${keys} data keys have a new version, and use it.`);
  if (reencrypted)
    tell(`${renewed.values} values were encrypted anew; ${left.values} are under an older version still.`);
  if (complete) return;
  if (left.values > 0) refuse(`${left.values} values are under an older version still: they were written meanwhile`);
  if (left.unreadable === 0) return;
  refuse(`${left.unreadable} values do not open, and were left as they are:`);
  for (const { collection, field, id } of left.places) refuse(`  ${collection}.${field} of ${id}`);
  if (left.unreadable > left.places.length) refuse("  … and others: the worker's log names all");
}
