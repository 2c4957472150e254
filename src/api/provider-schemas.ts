/** What requests to the register of providers may hold, and what it answers (R24). */
import { z } from 'zod';
import { dataCategories, disclosureStatuses, languages, starters } from '../disclosures';
import { sites, type Site } from '../lifecycle';
import { pageSchema } from './schemas';

const siteNames = Object.keys(sites) as [Site, ...Site[]];

/** One line, without control characters. */
function line(longest: number) {
  return z
    .string()
    .trim()
    .min(1)
    .max(longest)
    .regex(/^\P{Cc}*$/u, 'must not hold control characters');
}

/** Several lines. */
const passage = z.string().trim().min(1).max(2000);
const text = z.union([passage, z.strictObject({ en: passage, de: passage })], {
  error: 'must be a text of 1 to 2000 characters, or one in each language: { en, de }',
});
const day = z.iso.date().refine((date) => date >= '1990-01-01', 'must not be before 1990-01-01');
// What is shown as a link must not be able to be anything else.
const url = z
  .url({ protocol: /^https$/, error: 'must be an https:// address' })
  .max(2048)
  .refine((address) => !/^https:\/\/[^/?#]*@/i.test(address), 'must not hold a user or a password');
const categories = z
  .array(z.enum(dataCategories as [string, ...string[]]))
  .max(dataCategories.length)
  .refine((all) => new Set(all).size === all.length, 'must not name one twice')
  .meta({ published: { uniqueItems: true } });

const contactSchema = z
  .strictObject({
    person: line(200).optional(),
    email: z.email().max(254).optional(),
    phone: line(64).optional(),
    url: url.optional(),
  })
  .refine((contact) => Object.keys(contact).length > 0, 'name at least one of person, email, phone, url');

const documentSchema = z.strictObject({
  url,
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits'),
  date: day,
});

const disclosureSchema = z
  .strictObject({ askedOn: day.optional(), givenOn: day.optional(), document: documentSchema.optional() })
  .superRefine(({ askedOn, givenOn, document }, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (askedOn === undefined && givenOn === undefined) issue('askedOn', 'say when it was asked for, or given');
    if (givenOn !== undefined && document === undefined) issue('document', 'is required for what was given');
    if (givenOn === undefined && document !== undefined) issue('givenOn', 'is required where there is a document');
    if (askedOn !== undefined && givenOn !== undefined && givenOn < askedOn) {
      issue('givenOn', 'must not lie before askedOn');
    }
  });

const factsShape = {
  purposes: z.array(text).min(1).max(20),
  stores: categories,
  processes: categories,
  locations: z
    .array(
      z.strictObject({
        site: line(100),
        place: text.optional(),
        country: z.string().regex(/^[A-Z]{2}$/, 'must be a country of ISO 3166-1, two capital letters'),
      }),
    )
    .min(1)
    .max(50),
  encryption: z.strictObject({ atRest: text, inTransit: text }),
  accessControl: text,
  certifications: z.array(z.strictObject({ name: line(200), until: day.optional() })).max(50),
  subprocessors: z.strictObject({ names: z.array(line(200)).max(200), listedAt: url.optional() }),
  deletion: text,
  backups: text,
};

/** An entry of the register as an administrator writes it. */
export const providerSchema = z
  .strictObject({
    name: line(200),
    ...factsShape,
    contact: contactSchema,
    disclosure: disclosureSchema.optional(),
    nextReview: day.optional(),
    notes: z.string().trim().min(1).max(4000).optional(),
    draft: z.boolean().default(false),
  })
  .superRefine(({ stores, processes, disclosure, nextReview, draft }, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (stores.length + processes.length === 0) issue('stores', 'say what it stores, or what it processes');
    if (disclosure?.givenOn === undefined) return;
    if (nextReview === undefined) issue('nextReview', 'is required once a disclosure was given');
    else if (nextReview <= disclosure.givenOn) issue('nextReview', 'must lie after the disclosure was given');
    if (draft) issue('draft', 'an entry whose disclosure was given has been checked, and is no draft');
  });

export const providerParamsSchema = z.strictObject({ id: z.string().regex(/^prov_[0-9a-f]{24}$/) });

const languageSchema = z.enum(languages).optional();
/** A page for people: in a language they name, or the one their browser asks for. */
export const providerPageQuerySchema = z.strictObject({ lang: languageSchema });
export const providersQuerySchema = pageSchema;

const starterIds = starters.map(({ id }) => id) as [string, ...string[]];
export const startersSchema = z.strictObject({
  providers: z
    .array(z.enum(starterIds))
    .min(1)
    .max(starterIds.length)
    .refine((all) => new Set(all).size === all.length, 'must not name one twice')
    .meta({ published: { uniqueItems: true } }),
  sites: z
    .array(z.enum(siteNames))
    .min(1)
    .max(siteNames.length)
    .refine((all) => new Set(all).size === all.length, 'must not name one twice')
    .meta({ published: { uniqueItems: true } }),
});

const status = z.enum(disclosureStatuses);
const shownPage = <S extends z.ZodType>(item: S) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });

/** An entry as whoever may read the register is shown it. */
export const shownProvider = z.object({
  id: z.string(),
  name: z.string(),
  ...factsShape,
  contact: contactSchema.optional(),
  disclosure: z
    .object({
      askedOn: z.string().optional(),
      givenOn: z.string().optional(),
      document: documentSchema.optional(),
      takenInBy: z.string().optional(),
      takenInAt: z.iso.datetime().optional(),
    })
    .optional(),
  nextReview: z.string().optional(),
  notes: z.string().optional(),
  draft: z.boolean(),
  status,
  version: z.int(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
export const shownProviders = shownPage(shownProvider);

const publicFacts = z.object(factsShape);
/** What customers are told. Of a draft no more than that there is such a provider, what for and where. */
const publicProvider = z.object({
  name: z.string(),
  ...publicFacts.partial().required({ purposes: true, stores: true, processes: true, locations: true }).shape,
  draft: z.boolean(),
  disclosure: z.object({ status, givenOn: z.string().optional(), documentDate: z.string().optional() }),
  nextReview: z.string().optional(),
});
export const publicProviders = shownPage(publicProvider);

export const shownStarters = z.object({
  items: z.array(z.object({ id: z.string(), name: z.string(), sites: z.array(z.enum(siteNames)) })),
});
export const madeProviders = z.object({ items: z.array(shownProvider) });
