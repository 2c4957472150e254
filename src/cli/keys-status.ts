/** `ablauf keys status`: which master keys the keys are wrapped under (R21). Reads only. */
import { readConfig, type Config } from '../config';
import { configuredMasterKeys, openConfiguredKeyStore } from '../open-vault';
import { surveyKeys, type KeySurvey, type MasterKeys } from '../vault';
import { print, refuse, say } from './deployment';

/** How the key store stands, held against the master keys the environment gives. */
export interface KeyStatus extends KeySurvey {
  readonly region: string;
  readonly given: GivenMasterKeys;
}

/** The ids of the master keys the environment gives. */
export interface GivenMasterKeys {
  /** `LITELLM_MASTER_KEY` or `ABLAUF_KMS_KEY` */
  readonly inUse: string;
  /** `LITELLM_MASTER_KEY_NEXT` or `ABLAUF_KMS_KEY_NEXT` */
  readonly next: string | null;
  /** `LITELLM_MASTER_KEY_PREVIOUS` and `ABLAUF_KMS_KEY_PREVIOUS` */
  readonly previous: readonly string[];
}

/** Looks through the key store. @param named how many keys are named that cannot be opened */
export async function readKeyStatus(config: Config, named?: number): Promise<KeyStatus> {
  const masters = await configuredMasterKeys(config);
  const keyStore = await openConfiguredKeyStore(config, { prepare: false });
  try {
    const survey = await surveyKeys(keyStore, {
      region: config.region,
      accepted: new Set(masters.accepted.keys()),
      ...(named === undefined ? {} : { named }),
    });
    return { region: config.region, given: givenOf(masters), ...survey };
  } finally {
    await keyStore.connection.close();
  }
}

function givenOf({ inUse, next, accepted }: MasterKeys): GivenMasterKeys {
  const present = [inUse.id, next?.id];
  return {
    inUse: inUse.id,
    next: next?.id ?? null,
    previous: [...accepted.keys()].filter((id) => !present.includes(id)),
  };
}

/** Says how it stands; code 1 where a key cannot be opened with the master keys that were given. */
export async function keysStatus({ json }: { readonly json?: true }): Promise<void> {
  const status = await readKeyStatus(readConfig(process.env), Infinity);
  if (json === true) print(status);
  else for (const line of statusLines(status)) say(line);
  if (status.strangers > 0) {
    refuse(`${status.strangers} keys cannot be opened with the master keys given here:`);
    for (const { key, reason } of status.strange) refuse(`  ${key}: ${reason}`);
  }
}

/** How the key store stands, for people. */
export function statusLines({ region, given, keys, destroyed, masters, versions }: KeyStatus): string[] {
  const role = (id: string) => {
    if (id === given.inUse) return 'in use';
    if (id === given.next) return 'next';
    return given.previous.includes(id) ? 'before' : 'not given here';
  };
  const all = new Set([given.inUse, ...(given.next === null ? [] : [given.next]), ...given.previous]);
  for (const id of Object.keys(masters)) all.add(id);
  return [
    `Keys of ${region}: ${keys}, and ${destroyed} destroyed.`,
    'Wrapped under:',
    ...[...all].map((id) => `  ${id}  ${masters[id] ?? 0}  ${role(id)}`),
    'Versions in use:',
    ...Object.entries(versions)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, counts]) => `  ${kind}  ${Object.entries(counts).map(shownVersion).join(', ')}`),
  ];
}

function shownVersion([version, count]: [string, number]): string {
  return count === 1 ? version : `${version} (${count} keys)`;
}
