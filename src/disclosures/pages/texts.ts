/** Every word of the pages, in each language. */
import type { DisclosureStatus } from '../status';
import type { Language } from '../provider';

interface Texts {
  readonly title: string;
  readonly lead: string;
  readonly region: string;
  readonly asOf: string;
  readonly none: string;
  readonly skip: string;
  readonly language: string;
  readonly overview: string;
  readonly provider: string;
  readonly purposes: string;
  readonly stores: string;
  readonly processes: string;
  readonly where: string;
  readonly atRest: string;
  readonly inTransit: string;
  readonly accessControl: string;
  readonly certifications: string;
  readonly until: (date: string) => string;
  readonly lapsed: string;
  readonly noCertifications: string;
  readonly subprocessors: string;
  readonly noSubprocessors: string;
  readonly listedAt: string;
  readonly deletion: string;
  readonly backups: string;
  readonly disclosure: string;
  readonly askedOn: (date: string) => string;
  readonly neverAsked: string;
  readonly givenOn: (date: string) => string;
  readonly dated: (date: string) => string;
  readonly nextReview: string;
  readonly draft: string;
  readonly status: Readonly<Record<DisclosureStatus, string>>;
  readonly machine: string;
  readonly reportTitle: string;
  readonly reportLead: string;
  readonly summary: string;
  readonly number: string;
  readonly contact: string;
  readonly notes: string;
  readonly document: string;
  readonly takenIn: (by: string, at: string) => string;
  readonly history: string;
  readonly when: string;
  readonly what: string;
  readonly who: string;
  readonly changes: string;
  readonly withheld: string;
  readonly former: string;
  readonly removedAt: (at: string) => string;
  readonly acts: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, string>>;
  readonly yes: string;
  readonly no: string;
  readonly nothing: string;
}

const en: Texts = {
  title: 'Who stores and processes data for us',
  lead: 'These providers store or process records for this deployment. This page says what each of them has to do with, where, and how it protects what it has.',
  region: 'Region',
  asOf: 'As of',
  none: 'No provider is registered.',
  skip: 'Skip to the list',
  language: 'Language',
  overview: 'Overview',
  provider: 'Provider',
  purposes: 'What for',
  stores: 'Stores',
  processes: 'Processes',
  where: 'Where',
  atRest: 'Encryption at rest',
  inTransit: 'Encryption in transit',
  accessControl: 'Access control',
  certifications: 'Certifications',
  until: (date) => `valid until ${date}`,
  lapsed: 'lapsed',
  noCertifications: 'none stated',
  subprocessors: 'Sub-processors',
  noSubprocessors: 'none',
  listedAt: 'Listed by the provider at',
  deletion: 'Deletion',
  backups: 'Backups',
  disclosure: 'Disclosure',
  askedOn: (date) => `asked for on ${date}`,
  neverAsked: 'not asked for yet',
  givenOn: (date) => `given on ${date}`,
  dated: (date) => `document of ${date}`,
  nextReview: 'Next review',
  draft: 'Details of this entry are being checked.',
  status: {
    missing: 'Not disclosed yet',
    overdue: 'Review overdue',
    'due-soon': 'Review due soon',
    complete: 'Disclosed',
  },
  machine: 'The same for machines:',
  reportTitle: 'Providers and their disclosures',
  reportLead:
    'Everything the register of providers holds, with its history from the audit log as far as the log is kept. For auditors; not for publication.',
  summary: 'Status',
  number: 'Number',
  contact: 'Contact',
  notes: 'Notes',
  document: 'Document',
  takenIn: (by, at) => `taken in by ${by}, ${at}`,
  history: 'History',
  when: 'When',
  what: 'What',
  who: 'By whom',
  changes: 'Changes',
  withheld: 'changed, not on record here:',
  former: 'Removed providers',
  removedAt: (at) => `removed ${at}`,
  acts: {
    'provider.created': 'entered',
    'provider.updated': 'changed',
    'provider.deleted': 'removed',
    'provider.disclosure-missing': 'alarm: disclosure missing',
    'provider.disclosure-overdue': 'alarm: review overdue',
    'provider.disclosure-settled': 'alarm over',
  },
  fields: {
    name: 'Name',
    encryption: 'Encryption',
    locations: 'Where',
    draft: 'Draft',
  },
  yes: 'yes',
  no: 'no',
  nothing: 'none',
};

const de: Texts = {
  title: 'Wer für uns Daten speichert und verarbeitet',
  lead: 'Diese Anbieter speichern oder verarbeiten Daten für diese Installation. Hier steht, womit jeder von ihnen zu tun hat, wo das geschieht und wie er schützt, was er hat.',
  region: 'Region',
  asOf: 'Stand',
  none: 'Es ist kein Anbieter eingetragen.',
  skip: 'Zur Liste springen',
  language: 'Sprache',
  overview: 'Übersicht',
  provider: 'Anbieter',
  purposes: 'Wofür',
  stores: 'Speichert',
  processes: 'Verarbeitet',
  where: 'Wo',
  atRest: 'Verschlüsselung der Ablage',
  inTransit: 'Verschlüsselung der Übertragung',
  accessControl: 'Zugriffsschutz',
  certifications: 'Zertifikate',
  until: (date) => `gültig bis ${date}`,
  lapsed: 'abgelaufen',
  noCertifications: 'keine genannt',
  subprocessors: 'Unterauftragnehmer',
  noSubprocessors: 'keine',
  listedAt: 'Vom Anbieter aufgeführt unter',
  deletion: 'Löschung',
  backups: 'Sicherungen',
  disclosure: 'Auskunft',
  askedOn: (date) => `angefragt am ${date}`,
  neverAsked: 'noch nicht angefragt',
  givenOn: (date) => `erteilt am ${date}`,
  dated: (date) => `Dokument vom ${date}`,
  nextReview: 'Nächste Prüfung',
  draft: 'Die Angaben dieses Eintrags werden noch geprüft.',
  status: {
    missing: 'Noch keine Auskunft',
    overdue: 'Prüfung überfällig',
    'due-soon': 'Prüfung bald fällig',
    complete: 'Auskunft liegt vor',
  },
  machine: 'Dasselbe für Maschinen:',
  reportTitle: 'Anbieter und ihre Auskünfte',
  reportLead:
    'Alles, was das Anbieterverzeichnis enthält, mit seiner Geschichte aus dem Prüfprotokoll, soweit es aufbewahrt wird. Für Prüfer; nicht zur Veröffentlichung.',
  summary: 'Stand der Auskünfte',
  number: 'Anzahl',
  contact: 'Ansprechpartner',
  notes: 'Notizen',
  document: 'Dokument',
  takenIn: (by, at) => `entgegengenommen von ${by}, ${at}`,
  history: 'Verlauf',
  when: 'Wann',
  what: 'Was',
  who: 'Durch wen',
  changes: 'Änderungen',
  withheld: 'geändert, hier nicht festgehalten:',
  former: 'Entfernte Anbieter',
  removedAt: (at) => `entfernt ${at}`,
  acts: {
    'provider.created': 'eingetragen',
    'provider.updated': 'geändert',
    'provider.deleted': 'entfernt',
    'provider.disclosure-missing': 'Alarm: Auskunft fehlt',
    'provider.disclosure-overdue': 'Alarm: Prüfung überfällig',
    'provider.disclosure-settled': 'Alarm beendet',
  },
  fields: {
    name: 'Name',
    encryption: 'Verschlüsselung',
    locations: 'Wo',
    draft: 'Entwurf',
  },
  yes: 'ja',
  no: 'nein',
  nothing: 'nichts',
};

/** The words in a language. */
export const textsIn: Readonly<Record<Language, Texts>> = { en, de };
export type { Texts };
