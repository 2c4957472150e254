/** The commands of `ablauf`, one file each. */
import type { Command } from 'commander';
import { allowedIpsCommand } from './allowed-ips';
import { auditCommand } from './audit';
import { keysCommand } from './keys';
import { verifyCommand } from './verify';

/** Makes every command, in the order in which they are shown. */
export function allCommands(): Command[] {
  return [verifyCommand(), auditCommand(), keysCommand(), allowedIpsCommand()];
}
