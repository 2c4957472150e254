/**
 * A provider that stores or processes records for this deployment, and what it has disclosed of how it protects them (R24).
 *
 * - provider: who runs what we run on, such as a cloud or a database host
 * - disclosure: the provider's own statement of its safeguards, as a document
 * - draft: an entry that was filled in from public facts and nobody has checked yet
 */

/** The languages customers are spoken to in. */
export const languages = ['en', 'de'] as const;
export type Language = (typeof languages)[number];

/** A text in each language. */
export type Localized = Readonly<Record<Language, string>>;

/** What an administrator writes: in one language, or in each. */
export type Text = string | Localized;

/** What the register says of a provider. Nothing of it concerns a person. */
export interface ProviderFacts {
  /** What it is used for. */
  readonly purposes: readonly Text[];
  /** What of the data map it stores; see `dataCategories`. */
  readonly stores: readonly string[];
  /** What of it it processes without storing. */
  readonly processes: readonly string[];
  readonly locations: readonly Location[];
  readonly encryption: { readonly atRest: Text; readonly inTransit: Text };
  /** Who at the provider may reach the data, and how that is controlled. */
  readonly accessControl: Text;
  readonly certifications: readonly Certification[];
  /** Whom the provider uses itself; an empty list without an address says that there is nobody. */
  readonly subprocessors: Subprocessors;
  /** How soon what we delete is gone there. */
  readonly deletion: Text;
  /** What it backs up, and how long backups last. */
  readonly backups: Text;
}

/** Where a provider keeps data. */
export interface Location {
  /** As the provider calls it: `eu-central-1`. */
  readonly site: string;
  readonly place?: Text | undefined;
  /** ISO 3166-1, two letters. */
  readonly country: string;
}

/** A certification or report. */
export interface Certification {
  readonly name: string;
  /** The last day it is valid, `2026-11-22`. */
  readonly until?: string | undefined;
}

export interface Subprocessors {
  readonly names: readonly string[];
  /** Where the provider lists them. */
  readonly listedAt?: string | undefined;
}

/** Whom to ask at the provider. Personal: stored encrypted, and never shown to customers. */
export interface Contact {
  readonly person?: string | undefined;
  readonly email?: string | undefined;
  readonly phone?: string | undefined;
  readonly url?: string | undefined;
}

/** The document a disclosure is. */
export interface DisclosureDocument {
  readonly url: string;
  /** SHA-256 of the document as it was taken in, in hexadecimal. */
  readonly sha256: string;
  /** The date it bears. */
  readonly date: string;
}

/** What is said of a disclosure. All dates are calendar days, `2026-11-22`. */
export interface Disclosure {
  readonly askedOn?: string | undefined;
  readonly givenOn?: string | undefined;
  readonly document?: DisclosureDocument | undefined;
}

/** A disclosure as it is on record. */
export interface RecordedDisclosure extends Disclosure {
  /** Who took the document in: a key or a user, by id. */
  readonly takenInBy?: string;
  readonly takenInAt?: Date;
}

/** An entry of the register, as an administrator writes it. */
export interface ProviderEntry extends ProviderFacts {
  /** Unique in the register. */
  readonly name: string;
  readonly contact: Contact;
  readonly disclosure?: Disclosure | undefined;
  /** When its disclosure is to be looked at again, at the latest. */
  readonly nextReview?: string | undefined;
  /** For ourselves. */
  readonly notes?: string | undefined;
  /** Still to be checked; see the top of this file. */
  readonly draft: boolean;
}

/** A text in a language: as it was written where it was written in one. */
export function textIn(text: Text, language: Language): string {
  return typeof text === 'string' ? text : text[language];
}
