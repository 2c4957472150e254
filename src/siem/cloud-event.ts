/** An entry of the audit log as a CloudEvent (1.0), in JSON, that carries an OCSF event. Pure. */
import { classes } from './events';
import { schemaVersion, toOcsf, type PlacedEntry } from './ocsf';

/** Digits of a position, so that positions sort as texts do. */
const digits = 15;

/** The event of an entry. `source` and `id` are its own in all the world. */
export function toCloudEvent(origin: string, placed: PlacedEntry): Record<string, unknown> {
  const { entry, position } = placed;
  const data = toOcsf(placed);
  const schema = Object.values(classes).find(({ uid }) => uid === data['class_uid'])?.name ?? '';
  return {
    specversion: '1.0',
    id: entry.id,
    source: `/${origin}`,
    type: `ablauf.${entry.action}`,
    ...(entry.account === undefined ? {} : { subject: entry.account }),
    time: entry.at.toISOString(),
    datacontenttype: 'application/json',
    dataschema: `https://schema.ocsf.io/${schemaVersion}/classes/${schema.toLowerCase().replaceAll(' ', '_')}`,
    sequence: String(position).padStart(digits, '0'),
    data,
  };
}
