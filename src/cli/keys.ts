/**
 * `ablauf keys`: the keys everything is encrypted with (R21). What `rotate` rotates is an option; each is a {@link KeyRotation}
 * in a file of its own, listed below.
 */
import { Command } from 'commander';
import { keysStatus } from './keys-status';
import { masterRotation } from './rotate-master';
import { signingRotation } from './rotate-signing';
import type { KeyRotation, RotateOptions } from './rotation';

const optional: readonly (KeyRotation & { readonly flag: string })[] = [signingRotation];

export function keysCommand(): Command {
  const rotate = new Command('rotate')
    .description(masterRotation.description)
    .option('--json', 'print what came of it as JSON')
    .option('--detach', 'start it, or find it running, and leave it to itself');
  for (const { flag, description } of optional) rotate.option(flag, description);
  rotate.action(async (options: RotateOptions & Readonly<Record<string, unknown>>) => {
    const asked = optional.filter(({ flag }) => options[flag.replace(/^--/, '')] === true);
    if (asked.length > 1) throw new Error(`one at a time: ${asked.map(({ flag }) => flag).join(' or ')}`);
    const [rotation = masterRotation] = asked;
    await rotation.run(options);
  });
  return new Command('keys')
    .description('the keys everything is encrypted with')
    .addCommand(rotate)
    .addCommand(
      new Command('status')
        .description('say which master keys the keys are wrapped under; changes nothing')
        .option('--json', 'print it as JSON')
        .action((options: Pick<RotateOptions, 'json'>) => keysStatus(options)),
    );
}
