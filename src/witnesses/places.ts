/**
 * Where checkpoints are kept outside: a file that is only ever added to, a bucket with an object for each, or whoever takes
 * them as signed webhooks. Files and buckets are read again by the verification; give them to somebody who is not the
 * database's administrator.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Webhook } from 'standardwebhooks';
import type { WitnessRecord } from '../audit';
import { connectS3 } from '../object-storage';
import { exchange, type TargetRules } from '../processors';

/** A witness, as it is configured. */
export type WitnessPlace =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      readonly prefix: string;
      /** Hosts that may be spoken to without TLS. */
      readonly plain?: readonly string[];
    }
  | { readonly kind: 'webhook'; readonly url: string };

/** A checkpoint to be kept. */
export interface Published {
  readonly origin: string;
  readonly size: number;
  readonly at: Date;
  readonly note: string;
}

/** An open witness. */
export interface Witness {
  /** As it is called in alerts and faults. */
  readonly name: string;
  /** Gives it a checkpoint; the same one again changes nothing that counts. */
  publish(checkpoint: Published): Promise<void>;
  /** What it holds, where that can be read. */
  readonly record?: WitnessRecord;
}

/**
 * Reads `ABLAUF_WITNESSES`: `file:/PATH`, `s3://BUCKET/PREFIX` and `https://…`, separated by commas.
 *
 * @throws {Error} one of them is none
 */
export function parseWitnesses(text: string): WitnessPlace[] {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  return parts.map((part): WitnessPlace => {
    const [, path] = /^file:(?:\/\/)?(\/.+)$/.exec(part) ?? [];
    if (path !== undefined) return { kind: 'file', path };
    const [, bucket, prefix = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(part) ?? [];
    if (bucket !== undefined) return { kind: 's3', bucket, prefix };
    if (/^https?:\/\//.test(part) && URL.canParse(part)) return { kind: 'webhook', url: part };
    throw new Error(`${part} is none of file:/PATH, s3://BUCKET/PREFIX and https://…`);
  });
}

export interface WitnessSettings {
  /** What webhooks are signed with, `whsec_…`; needed for those alone. */
  readonly secret?: string;
  readonly rules: TargetRules;
}

/** Opens witnesses. Nothing is connected to before something is published. */
export function openWitnesses(places: readonly WitnessPlace[], settings: WitnessSettings): Witness[] {
  return places.map((place) => openWitness(place, settings));
}

function openWitness(place: WitnessPlace, settings: WitnessSettings): Witness {
  if (place.kind === 'file') return fileWitness(place.path);
  if (place.kind === 's3') return s3Witness(place);
  return webhookWitness(place.url, settings);
}

/** One line of JSON a checkpoint, on the disk before it counts. */
function fileWitness(path: string): Witness {
  const name = `file:${path}`;
  return {
    name,
    async publish({ size, at, note }) {
      const file = await open(path, 'a', 0o640);
      try {
        await file.appendFile(`${JSON.stringify({ size, at: at.toISOString(), note })}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
    },
    record: { name, notes: () => notesIn(path) },
  };
}

async function* notesIn(path: string): AsyncGenerator<string> {
  const lines = createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Infinity });
  for await (const line of lines) {
    if (line.trim() === '') continue;
    yield noteOf(line);
  }
}

/** The note of a line; the line itself where it is none, for the verification to say so. */
function noteOf(line: string): string {
  try {
    const { note } = JSON.parse(line) as { note?: unknown };
    return typeof note === 'string' ? note : line;
  } catch {
    return line;
  }
}

const longestSize = 16;
const patience = { attempts: 2, request: 10_000 };

/** One object a checkpoint, by the size of the log. The SDK's own sources say where the bucket is, and who asks. */
function s3Witness({ bucket: Bucket, prefix, plain = [] }: Extract<WitnessPlace, { kind: 's3' }>): Witness {
  const name = `s3://${Bucket}/${prefix}`;
  const base = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  const endpoint = process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL'];
  const connect = () => connectS3({ plain, ...(endpoint === undefined ? {} : { endpoint }) }, patience);
  let opened: ReturnType<typeof connect> | undefined;
  return {
    name,
    async publish({ size, note }) {
      const { sdk, client } = await (opened ??= connect());
      const Key = `${base}${String(size).padStart(longestSize, '0')}`;
      await client.send(
        new sdk.PutObjectCommand({ Bucket, Key, Body: note, ContentType: 'text/plain; charset=utf-8' }),
      );
    },
    record: {
      name,
      async *notes() {
        const { sdk, client } = await (opened ??= connect());
        for (let after: string | undefined; ;) {
          const page = { Bucket, Prefix: base, ...(after === undefined ? {} : { StartAfter: after }) };
          const { Contents = [] } = await client.send(new sdk.ListObjectsV2Command(page));
          for (const { Key } of Contents) {
            const { Body } = await client.send(new sdk.GetObjectCommand({ Bucket, Key }));
            yield (await Body?.transformToString()) ?? '';
          }
          after = Contents.at(-1)?.Key;
          if (after === undefined) return;
        }
      },
    },
  };
}

/** A message in the form of Standard Webhooks; the same checkpoint has the same id. */
function webhookWitness(url: string, { secret, rules }: WitnessSettings): Witness {
  const name = new URL(url).origin;
  return {
    name,
    async publish({ origin, size, at, note }) {
      const id = `checkpoint-${origin.replaceAll('/', '-')}-${size}`;
      const body = JSON.stringify({
        type: 'audit.checkpoint',
        timestamp: at.toISOString(),
        data: { origin, size, note },
      });
      const now = new Date();
      const headers = {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
        'webhook-signature': new Webhook(secret ?? '').sign(id, now, body),
      };
      const { status } = await exchange(url, rules, { method: 'POST', headers, body });
      if (status < 200 || status >= 300) throw new Error(`the witness answered with HTTP ${status}`);
    },
  };
}
