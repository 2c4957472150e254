/** Which master keys the keys are wrapped under, from the key store itself. Reads only. */
import type { KeyDocument, KeyStore } from './key-store';

/** A key that is wrapped under a master key that was not asked for, or belongs to another region, or is not whole. */
export interface StrangeKey {
  /** The key's id: names no account. */
  readonly key: string;
  readonly reason: string;
}

/** What there is in a key store. */
export interface KeySurvey {
  /** Keys that can be used. */
  readonly keys: number;
  /** Keys that were destroyed, or that must never be made. */
  readonly destroyed: number;
  /** How many keys are wrapped under each master key, by its id. One that is wrapped under two counts in both. */
  readonly masters: Readonly<Record<string, number>>;
  /** How many keys use which version, by kind (`account`, `retained`) and for each system key by its id. */
  readonly versions: Readonly<Record<string, Readonly<Record<number, number>>>>;
  /** How many are not as they should be. */
  readonly strangers: number;
  /** The first of them, by their ids. */
  readonly strange: readonly StrangeKey[];
}

export interface SurveyOptions {
  readonly region: string;
  /** The ids of the master keys that keys may be wrapped under. */
  readonly accepted: ReadonlySet<string>;
  /** How many strange keys are named. @default 100 */
  readonly named?: number;
  /** Told now and then how many keys were seen. */
  readonly progress?: (seen: number) => void;
}

const batchSize = 1000;

/** Goes through the whole key store once, whatever it holds, in constant memory. */
export async function surveyKeys(
  { keys }: Pick<KeyStore, 'keys'>,
  { region, accepted, named = 100, progress }: SurveyOptions,
): Promise<KeySurvey> {
  let [living, destroyed, strangers, seen] = [0, 0, 0, 0];
  const masters: Record<string, number> = {};
  const versions: Record<string, Record<number, number>> = {};
  const strange: StrangeKey[] = [];
  const projection = { region: 1, current: 1, 'versions.version': 1, 'versions.master': 1, 'index.master': 1 };
  const cursor = keys.find({}, { projection: { ...projection, destroyedAt: 1 }, sort: { _id: 1 }, batchSize });
  for await (const document of cursor) {
    seen += 1;
    if (seen % batchSize === 0) progress?.(seen);
    const { _id, current, destroyedAt } = document;
    const wrapped = mastersOf(document);
    for (const master of wrapped) masters[master] = (masters[master] ?? 0) + 1;
    const reason = strangenessOf(document, wrapped, region, accepted);
    if (reason !== undefined) {
      strangers += 1;
      if (strange.length < named) strange.push({ key: _id, reason });
    }
    if (destroyedAt !== undefined) {
      destroyed += 1;
      continue;
    }
    living += 1;
    const kind = _id.startsWith('system/') ? _id : _id.slice(0, _id.indexOf('/'));
    const byVersion = (versions[kind] ??= {});
    if (current !== undefined) byVersion[current] = (byVersion[current] ?? 0) + 1;
  }
  return { keys: living, destroyed, masters, versions, strangers, strange };
}

function mastersOf({ versions = [], index }: KeyDocument): Set<string> {
  return new Set([...versions, ...(index === undefined ? [] : [index])].map(({ master }) => master));
}

function strangenessOf(
  { region: its, destroyedAt, current, versions = [], index }: KeyDocument,
  masters: ReadonlySet<string>,
  region: string,
  accepted: ReadonlySet<string>,
): string | undefined {
  if (its !== region) return `it belongs to ${its}, not to ${region}`;
  if (destroyedAt !== undefined) return masters.size > 0 ? 'it was destroyed, and is still there' : undefined;
  if (index === undefined || !versions.some(({ version }) => version === current)) return 'it is not complete';
  const unknown = [...masters].filter((master) => !accepted.has(master));
  if (unknown.length > 0) return `it is wrapped under the master key ${unknown.join(', ')}`;
  return undefined;
}
