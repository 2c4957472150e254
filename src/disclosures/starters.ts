/**
 * Entries to begin the register with: what is publicly known of the usual clouds and database hosts, as drafts. What such
 * a provider does for its part is for its own disclosure to say; until that is given an entry says so.
 */
import type { Site } from '../lifecycle';
import type { Localized, Location, ProviderEntry } from './provider';

/** An entry to begin with. */
export interface Starter {
  readonly id: string;
  readonly name: string;
  /** Sites it is publicly known to serve, as this deployment calls them. */
  readonly sites: readonly Site[];
}

interface Known extends Starter {
  readonly purposes: readonly Localized[];
  readonly stores: readonly string[];
  readonly processes: readonly string[];
  readonly url: string;
  readonly subprocessors: string;
}

const everySite: readonly Site[] = ['us-west-1', 'us-east-1', 'eu-central-1'];
const databases = [
  'prompts',
  'completions',
  'logs',
  'usage',
  'usage-totals',
  'invoices',
  'profile',
  'audit',
  'backups',
];
const hosting: readonly Localized[] = [
  { en: 'servers the application and its workflows run on', de: 'Server, auf denen Anwendung und Abläufe laufen' },
];
const database: readonly Localized[] = [{ en: 'managed database', de: 'verwaltete Datenbank' }];

const known: readonly Known[] = [
  {
    id: 'aws',
    name: 'Amazon Web Services',
    sites: everySite,
    purposes: hosting,
    stores: ['wrapped-keys', 'workflow-histories', 'erasure-ledger', 'archive-chunks', 'backups', 'process-logs'],
    processes: ['network-traffic'],
    url: 'https://aws.amazon.com/compliance/',
    subprocessors: 'https://aws.amazon.com/compliance/sub-processors/',
  },
  {
    id: 'gcp',
    name: 'Google Cloud',
    sites: ['us-west-1', 'eu-central-1'],
    purposes: hosting,
    stores: ['wrapped-keys', 'workflow-histories', 'erasure-ledger', 'backups', 'process-logs'],
    processes: ['network-traffic'],
    url: 'https://cloud.google.com/security/compliance',
    subprocessors: 'https://cloud.google.com/terms/subprocessors',
  },
  {
    id: 'neon',
    name: 'Neon',
    sites: everySite,
    purposes: database,
    stores: databases,
    processes: [],
    url: 'https://neon.tech/docs/security/security-overview',
    subprocessors: 'https://neon.tech/dpa',
  },
  {
    id: 'mongodb-atlas',
    name: 'MongoDB Atlas',
    sites: everySite,
    purposes: database,
    stores: databases,
    processes: [],
    url: 'https://www.mongodb.com/technical-and-organizational-security-measures',
    subprocessors: 'https://www.mongodb.com/cloud/trust/compliance/subprocessors',
  },
];

const places: Readonly<Record<Site, Location>> = {
  'us-west-1': {
    site: 'us-west-1',
    place: { en: 'Northern California, USA', de: 'Nordkalifornien, USA' },
    country: 'US',
  },
  'us-east-1': { site: 'us-east-1', place: { en: 'Virginia, USA', de: 'Virginia, USA' }, country: 'US' },
  'eu-central-1': {
    site: 'eu-central-1',
    place: { en: 'Frankfurt, Germany', de: 'Frankfurt am Main, Deutschland' },
    country: 'DE',
  },
};

const open: Localized = {
  en: 'Not on record yet: to be taken from the disclosure of the provider.',
  de: 'Noch nicht bekannt: aus der Auskunft des Anbieters zu übernehmen.',
};

/** What there is to begin with. */
export const starters: readonly Starter[] = known.map(({ id, name, sites }) => ({ id, name, sites }));

/** A site at which a starter is not known to be. */
export interface Elsewhere {
  readonly starter: string;
  readonly site: Site;
}

/** Which of these starters are not known to be at which of these sites. */
export function startersElsewhere(ids: readonly string[], sites: readonly Site[]): Elsewhere[] {
  return known
    .filter(({ id }) => ids.includes(id))
    .flatMap((starter) =>
      sites.filter((site) => !starter.sites.includes(site)).map((site) => ({ starter: starter.id, site })),
    );
}

/** The drafts of these starters, at these sites. */
export function draftsOf(ids: readonly string[], sites: readonly Site[]): ProviderEntry[] {
  return known
    .filter(({ id }) => ids.includes(id))
    .map(({ name, purposes, stores, processes, url, subprocessors }) => ({
      name,
      purposes,
      stores,
      processes,
      locations: sites.map((site) => places[site]),
      encryption: {
        atRest: {
          en: 'Everything personal is encrypted by us before it is stored there. What the provider adds: to be taken from its disclosure.',
          de: 'Alles Personenbezogene verschlüsseln wir, bevor es dort gespeichert wird. Was der Anbieter hinzufügt: aus seiner Auskunft zu übernehmen.',
        },
        inTransit: { en: 'TLS', de: 'TLS' },
      },
      accessControl: open,
      certifications: [],
      subprocessors: { names: [], listedAt: subprocessors },
      deletion: open,
      backups: open,
      contact: { url },
      draft: true,
    }));
}
