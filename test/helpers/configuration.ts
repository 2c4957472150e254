/** The least a process has to be told, for tests of what else it may be told. */
import { ConfigError, readConfig } from '../../src/config';

/** Everything that is required, and nothing else. */
export const complete = {
  ABLAUF_ADMIN_KEY: 'an-administrators-key',
  LITELLM_MASTER_KEY: 'sk-master-key-of-some-length',
  ABLAUF_MONGODB_URI: 'mongodb://127.0.0.1:27017/ablauf',
  ABLAUF_VAULT_URI: 'mongodb://127.0.0.1:27018/ablauf_vault',
  ABLAUF_LEDGER: 'file:/var/lib/ablauf/ledger.ndjson',
  ABLAUF_TEMPORAL_ADDRESS: '127.0.0.1:7233',
} as const;

/** What is wrong with an environment, a line for each flaw; nothing where it is accepted. */
export function flawsIn(environment: Readonly<Record<string, string>>): string[] {
  try {
    readConfig(environment);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const [, ...flaws] = error.message.split('\n');
    return flaws.map((line) => line.trim());
  }
}
