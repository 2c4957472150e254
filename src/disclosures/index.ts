/** Providers that store or process records, and what they disclose of how they protect them (R24). */
export { categoryLabel, dataCategories } from './categories';
export { registerProviders } from './documents';
export * from './errors';
export { historyOf } from './history';
export { languages, type Language, type ProviderEntry } from './provider';
export {
  addProviders,
  allProviders,
  findProvider,
  formerProviders,
  listProviders,
  removeProvider,
  replaceProvider,
  type Provider,
} from './register';
export { draftsOf, starters, startersElsewhere } from './starters';
export { disclosureStatuses, statusOf } from './status';
export { watchDisclosures } from './watch';
export { languageFor } from './pages/language';
export { publicPage, publicPart, type PublicProvider } from './pages/public';
export { reportPage } from './pages/report';
export { contentPolicy } from './pages/style';
