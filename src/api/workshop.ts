import type { AddressLists } from '../access';
import type { ApiDependencies } from './dependencies';
import type { RequestLimits } from './limits';
import type { SettingsCache } from './settings-cache';
import type { Uses } from './on-record/uses';

/** What handlers work with: what the API was given, and what it made of that. */
export interface Workshop extends Omit<ApiDependencies, 'limits'> {
  readonly limits: RequestLimits;
  readonly defaults: SettingsCache;
  readonly uses: Uses;
  /** Who may come from where, as it is in force. */
  readonly addresses: AddressLists;
}
