/**
 * `ablauf audit verify`: reads the whole audit log and names the first fault (R20). An operator's machine knows the deployment by its
 * environment; an auditor's needs a URI of the database, the public keys, and nothing else.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import type { Connection } from 'mongoose';
import { z } from 'zod';
import {
  noteKeyOf,
  originOf,
  sourceIn,
  verifyLog,
  verifyOwnLog,
  type LogSource,
  type Verification,
  type VerifyOptions,
} from '../audit';
import { readConfig } from '../config';
import { connect } from '../database';
import { openConfiguredStore } from '../open-store';
import { openConfiguredVault } from '../open-vault';
import { isLoopback, mongodbHosts, speaksTls } from '../transit';
import { openWitnesses, parseWitnesses, type WitnessPlace } from '../witnesses';
import { print, refuse, say } from './deployment';

interface Options {
  readonly uri?: string;
  readonly region?: string;
  readonly key?: string;
  readonly witness?: readonly string[];
  readonly plain?: true;
  readonly json?: true;
}

export function auditCommand(): Command {
  return new Command('audit')
    .description('the audit log')
    .addCommand(
      new Command('verify')
        .description('verify the whole audit log, and name the first fault; reads only')
        .option('--key <file>', 'trust only these keys: what GET /v1/keys/public answered, or one key of it')
        .option('--witness <place...>', 'what it is held against: a file, or s3://BUCKET/PREFIX [ABLAUF_WITNESSES]')
        .option('--uri <uri>', 'of the database; then no other configuration is read, and personal parts stay closed')
        .option('--region <region>', 'whose log it is, beside --uri [ABLAUF_REGION]')
        .option('--plain', 'beside --uri: the database may be on another machine and without TLS')
        .option('--json', 'print what was found as JSON')
        .action(verify),
    );
}

/** A log, and what it is verified with. */
interface Opened {
  readonly connection: Connection;
  readonly region: string;
  /** The witnesses it is held against, by name. */
  readonly witnesses: readonly string[];
  /** Whether what is personal is opened. */
  readonly personalParts: boolean;
  verify(source: LogSource, progress: Pick<VerifyOptions, 'progress'>): Promise<Verification>;
  close(): Promise<void>;
}

async function verify(options: Options): Promise<void> {
  const opened = options.uri === undefined ? await openConfigured(options) : await openGiven(options, options.uri);
  const { connection, region } = opened;
  try {
    const progress = options.json === true ? undefined : progressTo(process.stderr);
    const source = sourceIn(connection, region);
    const found = await opened.verify(source, progress === undefined ? {} : { progress });
    if (found.ok && found.entries === 0) {
      throw new Error(`there is no audit log of ${region} in the database ${connection.name}`);
    }
    tell(found, opened, options);
  } finally {
    await opened.close();
  }
}

/** The deployment the environment names. */
async function openConfigured({ key, witness }: Options): Promise<Opened> {
  const config = readConfig(process.env);
  const vault = await openConfiguredVault(config);
  try {
    const { region } = config;
    const keys = key === undefined ? undefined : noteKeysIn(key, region);
    const store = await openConfiguredStore(config, vault, { appName: 'ablauf-audit' });
    const places = witness === undefined ? config.witnesses : witnessPlaces(witness);
    const witnesses = recordsOf(places);
    return {
      connection: store.connection,
      region,
      witnesses: witnesses.map(({ name }) => name),
      personalParts: true,
      verify: (source, progress) =>
        keys === undefined
          ? verifyOwnLog(source, vault, { witnesses, ...progress })
          : verifyLog(source, { keys, vault, witnesses, ...progress }),
      close: () => store.close(),
    };
  } catch (error) {
    await vault.close();
    throw error;
  }
}

/** A database, and the public keys: all an auditor needs. */
async function openGiven({ key, witness, region, plain }: Options, uri: string): Promise<Opened> {
  const whose = region ?? process.env['ABLAUF_REGION'];
  if (key === undefined) throw new Error('--uri needs --key: the keys are yours to trust, not the database to name');
  if (whose === undefined) throw new Error('--uri needs --region: whose log it is');
  if (!/^mongodb(\+srv)?:\/\//.test(uri)) throw new Error('--uri is not a URI of MongoDB');
  if (plain !== true && !speaksTls(uri) && !mongodbHosts(uri).every(isLoopback)) {
    throw new Error('the database would be spoken to in the clear: say tls=true in its URI, or --plain');
  }
  const keys = noteKeysIn(key, whose);
  const witnesses = recordsOf(witnessPlaces(witness ?? []));
  const connection = await connect({ uri, selectionTimeout: 5000, appName: 'ablauf-audit' });
  return {
    connection,
    region: whose,
    witnesses: witnesses.map(({ name }) => name),
    personalParts: false,
    verify: (source, progress) => verifyLog(source, { keys, witnesses, ...progress }),
    close: () => connection.close(),
  };
}

const keySchema = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string().length(43) });
const keysSchema = z.union([
  z.object({ keys: z.array(keySchema).min(1) }),
  keySchema.transform((one) => ({ keys: [one] })),
]);

function readKeys(path: string): z.output<typeof keySchema>[] {
  const text = readFileSync(path, 'utf8');
  try {
    return keysSchema.parse(JSON.parse(text)).keys;
  } catch {
    throw new Error(`${path} holds no Ed25519 key as GET /v1/keys/public answers them`);
  }
}

/** The keys of a file, as those that sign a region's checkpoints. */
function noteKeysIn(path: string, region: string) {
  return readKeys(path).map((one) => noteKeyOf(originOf(region), one));
}

/** A path names a file, absolute or not. */
function witnessPlaces(texts: readonly string[]): WitnessPlace[] {
  const places = texts.flatMap((text) => parseWitnesses(/^[a-z0-9]+:/.test(text) ? text : `file:${resolve(text)}`));
  if (places.some(({ kind }) => kind === 'webhook')) {
    throw new Error('what a webhook was told cannot be read again: ask its keeper for the checkpoints, as a file');
  }
  return places;
}

function recordsOf(places: readonly WitnessPlace[]) {
  return openWitnesses(places, { rules: { allowPrivate: false } }).flatMap(({ record }) => record ?? []);
}

const progressEvery = 1000;

/** Says how far it is, on a terminal. */
function progressTo(stream: NodeJS.WriteStream): VerifyOptions['progress'] {
  if (!stream.isTTY) return undefined;
  let saidAt = 0;
  return (entries, of) => {
    const now = performance.now();
    if (now - saidAt < progressEvery && entries < of) return;
    saidAt = now;
    stream.write(`\r${entries} of ${of} entries${entries < of ? '' : '\n'}`);
  };
}

function tell(found: Verification, { region, witnesses: names, personalParts }: Opened, { json }: Options): void {
  const { firstFault: fault } = found;
  if (json === true) {
    print({ region, ...found, personalParts, witnesses: names });
  } else if (fault === undefined) {
    say(`The audit log of ${region} holds: ${found.entries} entries, from ${found.from ?? ''} to ${found.to ?? ''}.`);
    if (found.pruned !== undefined) {
      const { before, at, retention } = found.pruned;
      const days = (retention / 86_400_000).toFixed(1);
      say(`It begins at number ${before}: it let go of what came before at ${at}, after a retention of ${days} days.`);
    }
    if (!personalParts) say('Personal parts were not opened, for want of their keys.');
    if (names.length === 0) say('It was held against no witness: that it was not rewritten as a whole is not shown.');
    for (const name of names) say(`It is the one the witness ${name} saw.`);
  }
  if (fault === undefined) return;
  refuse(`The audit log of ${region} does not hold, from number ${fault.seq} on: ${fault.fault}: ${fault.detail}.`);
  refuse(`${found.entries} entries before that were in order.`);
}
