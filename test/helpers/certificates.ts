/** Reading certificates as they are handed out, and checking them as an auditor would: by a program of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answered } from './api';

type Json = Readonly<Record<string, unknown>>;

/** A JWS in its flattened form. */
export interface Jws {
  payload: string;
  protected: string;
  signature: string;
}

/** A certificate as it is handed out. */
export interface Handed extends Jws {
  addenda: Jws[];
  statement: Jws;
}

export function handedIn({ body }: Pick<Answered, 'body'>): Handed {
  return body as unknown as Handed;
}

/** What a signed part says. Its signature is not looked at. */
export function saysOf({ payload }: Pick<Jws, 'payload'>): Json {
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Json;
}

/** What a certificate says that was answered. */
export function certificateIn(answer: Pick<Answered, 'body'>): Json {
  return saysOf(handedIn(answer));
}

/** What a program said. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end. */
export async function run(command: string, options: readonly string[], input = ''): Promise<Said> {
  const child = spawn(command, options, { stdio: 'pipe' });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (bytes: Buffer) => (texts.out += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (texts.err += bytes.toString()));
  // A program may end without reading what it is given.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? -1, ...texts };
}

const program = join(__dirname, '..', '..', 'tools', 'verify.mjs');

/** Has `verify.mjs` check what is written to two files. */
export async function verify(certificate: unknown, keys: unknown): Promise<Said> {
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-verify-'));
  try {
    const files = [join(folder, 'certificate.json'), join(folder, 'keys.json')] as const;
    for (const [index, content] of [certificate, keys].entries()) {
      await writeFile(files[index] ?? '', typeof content === 'string' ? content : JSON.stringify(content));
    }
    return await run(process.execPath, [program, files[0], '--key', files[1]]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** How each of many certificates is judged by the functions of `verify.mjs`: the reason for which it is refused, or `ok`. */
export async function reasonsFor(certificates: readonly string[], keys: unknown): Promise<string[]> {
  const script = `
    import { check } from ${JSON.stringify(program)};
    let text = '';
    for await (const part of process.stdin) text += part;
    const { certificates, keys } = JSON.parse(text);
    const reasons = [];
    for (const one of certificates) {
      const { code, reason } = await check(one, keys);
      reasons.push(code === 0 ? 'ok' : (reason ?? 'cannot be checked'));
    }
    console.log(JSON.stringify(reasons));`;
  const input = JSON.stringify({ certificates, keys: JSON.stringify(keys) });
  const { code, out, err } = await run(process.execPath, ['--input-type=module', '--eval', script], input);
  if (code !== 0) throw new Error(`verify.mjs broke: ${err}`);
  return JSON.parse(out) as string[];
}
