/** What a provider may have: the data map's sets, and what lies outside of the data's database. */
import { dataSets } from '../data';
import type { Localized } from './provider';

/** What providers have to do with beside the data map's sets. */
const elsewhere = [
  'wrapped-keys',
  'workflow-histories',
  'erasure-ledger',
  'backups',
  'process-logs',
  'network-traffic',
] as const;

/** Everything a provider may be said to store or process. */
export const dataCategories: readonly string[] = [...dataSets.map(({ name }) => name), ...elsewhere];

/** What customers read for each of them. A test fails for one that has none. */
const labels: Readonly<Record<string, Localized>> = {
  prompts: { en: 'prompts', de: 'Eingaben (Prompts)' },
  completions: { en: 'generated content', de: 'erzeugte Inhalte' },
  logs: { en: 'request logs', de: 'Protokolle der Anfragen' },
  usage: { en: 'usage of each request', de: 'Nutzung je Anfrage' },
  'usage-totals': { en: 'daily usage totals', de: 'tägliche Nutzungssummen' },
  receipts: { en: 'fingerprints of recent requests', de: 'Fingerabdrücke jüngster Anfragen' },
  invoices: { en: 'invoices', de: 'Rechnungen' },
  sealed: { en: 'what the law obliges to keep', de: 'gesetzlich Aufzubewahrendes' },
  exports: { en: 'requests for exports', de: 'Exportaufträge' },
  archives: { en: 'names and sizes of exported files', de: 'Namen und Größen exportierter Dateien' },
  'archive-chunks': { en: 'exported files', de: 'exportierte Dateien' },
  'person-requests': { en: 'requests to erase one person', de: 'Anträge auf Löschung einer Person' },
  'processor-requests': { en: 'what processors were told to erase', de: 'Löschaufträge an Auftragsverarbeiter' },
  idempotency: { en: 'answers kept for a day', de: 'für einen Tag aufbewahrte Antworten' },
  drafts: { en: 'accounts being created', de: 'Konten in Anlage' },
  keys: { en: 'API keys, hashed', de: 'API-Schlüssel, als Hash' },
  gate: { en: 'whether records may be written', de: 'ob geschrieben werden darf' },
  profile: { en: 'account profiles', de: 'Kontoprofile' },
  'key-uses': { en: 'when keys were last used', de: 'letzte Verwendung der Schlüssel' },
  users: { en: 'people who sign in', de: 'angemeldete Personen' },
  sessions: { en: 'sign-in sessions', de: 'Anmeldesitzungen' },
  approvals: { en: 'approvals by a second person', de: 'Freigaben durch eine zweite Person' },
  'allowed-addresses': { en: 'allowed addresses', de: 'zugelassene Adressen' },
  audit: { en: 'audit log', de: 'Prüfprotokoll' },
  'wrapped-keys': { en: 'encryption keys, wrapped', de: 'Verschlüsselungsschlüssel, verpackt' },
  'workflow-histories': { en: 'workflow histories', de: 'Ablaufverläufe' },
  'erasure-ledger': { en: 'ledger of erasures', de: 'Verzeichnis der Löschungen' },
  backups: { en: 'backups', de: 'Sicherungen' },
  'process-logs': { en: "the servers' own logs", de: 'Protokolle der Server' },
  'network-traffic': { en: 'data in transit', de: 'Daten bei der Übertragung' },
};

/** A category in words; its name where there are none. */
export function categoryLabel(category: string): Localized {
  return labels[category] ?? { en: category, de: category };
}
