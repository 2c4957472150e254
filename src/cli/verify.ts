/** `ablauf verify`: checks a certificate of erasure offline (R22), by the same code as `verify.mjs`. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';

interface Options {
  readonly key: string;
  readonly json?: true;
}

export function verifyCommand(): Command {
  return new Command('verify')
    .description('check a certificate of erasure offline, with its addenda and its place in the audit log')
    .argument('<certificate>', 'file with what GET /v1/certificates/:id answered')
    .requiredOption('--key <file>', 'file with what GET /v1/keys/public answered, or one key of it')
    .option('--json', 'print what is certified, or the reason it is refused, as JSON')
    .action(async (certificate: string, { key, json }: Options) => {
      const { check } = await import('../../tools/verify.mjs');
      const { code, lines, ...result } = await check(readFileSync(certificate, 'utf8'), readFileSync(key, 'utf8'));
      if (json === true) process.stdout.write(`${JSON.stringify({ ...result, ...(code === 0 ? {} : { lines }) })}\n`);
      else (code === 0 ? process.stdout : process.stderr).write(`${lines.join('\n')}\n`);
      process.exitCode = code;
    });
}
