/**
 * `ablauf keys`: the keys everything is encrypted with (R21). What `rotate` rotates is an option; each is a {@link KeyRotation}
 * in a file of its own, listed below.
 */
import { Command } from 'commander';
import { keysStatus } from './keys-status';
import { dataRotation } from './rotate-data';
import { masterRotation } from './rotate-master';
import { signingRotation } from './rotate-signing';
import type { KeyRotation, RotateOptions } from './rotation';

const optional: readonly (KeyRotation & { readonly flag: string })[] = [signingRotation, dataRotation];

export function keysCommand(): Command {
  const rotate = new Command('rotate')
    .description(masterRotation.description)
    .option('--json', 'print what came of it as JSON')
    .option('--detach', 'start it, or find it running, and leave it to itself');
  for (const { flag, description, options = [] } of optional) {
    for (const one of [{ flag, description }, ...options]) rotate.option(one.flag, one.description);
  }
  rotate.action(async (options: RotateOptions & Readonly<Record<string, unknown>>) => {
    const asked = optional.filter(({ flag }) => options[nameOf(flag)] === true);
    if (asked.length > 1) throw new Error(`one at a time: ${asked.map(({ flag }) => flag).join(' or ')}`);
    const [rotation = masterRotation] = asked;
    const others = optional.filter((one) => one !== rotation).flatMap((one) => one.options ?? []);
    const stray = others.find(({ flag }) => options[nameOf(flag)] !== undefined);
    if (stray !== undefined)
      throw new Error(`${stray.flag.split(' ')[0] ?? ''} belongs with another option: ${stray.description}`);
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

/** What the command line calls an option's value. */
function nameOf(flag: string): string {
  return flag.replace(/^--/, '').replace(/ .*$/, '');
}
