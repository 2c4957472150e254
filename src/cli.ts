#!/usr/bin/env node
/**
 * The command line, `ablauf`. Exits with 0 where it was done or holds, with 1 where the answer is no, and with 2 where it could
 * not be asked: see `docs/cli.md`.
 */
import { Command, CommanderError } from 'commander';
import { allCommands } from './cli/index';

const couldNot = 2;

async function main(): Promise<void> {
  const program = new Command('ablauf')
    .description('Account retention for LLM gateways: checks and maintenance')
    .showHelpAfterError()
    .exitOverride();
  for (const command of allCommands()) program.addCommand(command.copyInheritedSettings(program));
  await program.parseAsync();
}

main().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    // It has said what was wrong, or shown the help that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : couldNot;
    return;
  }
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = couldNot;
});
