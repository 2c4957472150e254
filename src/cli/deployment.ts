/** What commands need of the deployment they are run in: its configuration, its keys, and Temporal. */
import { Client } from '@temporalio/client';
import { readConfig, type Config } from '../config';
import { openConfiguredVault } from '../open-vault';
import { connectLazily, dataConverterOf } from '../temporal';
import type { Vault } from '../vault';

/** A deployment, as a command of its operator's sees it. */
export interface Deployment {
  readonly config: Config;
  readonly vault: Vault;
  readonly client: Client;
}

/**
 * Opens the deployment the environment names, has something done, and closes it again.
 *
 * @throws {ConfigError | MasterKeyError} it cannot be opened
 */
export async function inDeployment<T>(work: (deployment: Deployment) => Promise<T>): Promise<T> {
  const config = readConfig(process.env);
  const vault = await openConfiguredVault(config);
  const connection = connectLazily(config.temporal.address, config.transit.temporal);
  try {
    const { namespace } = config.temporal;
    const client = new Client({ connection, namespace, dataConverter: dataConverterOf(vault) });
    return await work({ config, vault, client });
  } finally {
    await connection.close();
    await vault.close();
  }
}

/** Says something to people, on standard output. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Says what is wrong, on standard error. The command ends with code 1: it was looked at, and the answer is no. */
export function refuse(text: string): void {
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
}

/** Prints the one JSON object of `--json`. */
export function print(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
