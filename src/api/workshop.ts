import type { ApiDependencies } from './dependencies';
import type { SettingsCache } from './settings-cache';

/** What handlers work with: what the API was given, and what it made of that. */
export interface Workshop extends ApiDependencies {
  readonly defaults: SettingsCache;
}
