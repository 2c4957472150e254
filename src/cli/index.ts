/** The commands of `ablauf`, one file each. */
import type { Command } from 'commander';
import { keysCommand } from './keys';
import { verifyCommand } from './verify';

/** Makes every command, in the order in which they are shown. */
export function allCommands(): Command[] {
  return [verifyCommand(), keysCommand()];
}
