/** The deployment's numbers in force: as configured, unless changed at run time. */
import type { Settings } from '../lifecycle';
import { settingsId, type SettingsDocument } from './documents';
import type { Store } from './store';

/** The settings new periods begin with, now (R7). @param configured the deployment's configuration */
export async function effectiveSettings(store: Store, configured: Settings): Promise<Settings> {
  const changed = await store.settings.findById(settingsId).lean<SettingsDocument>().exec();
  return {
    ...configured,
    ...(changed?.gracePeriod === undefined ? {} : { gracePeriod: changed.gracePeriod }),
    ...(changed?.expiryPeriod === undefined ? {} : { expiryPeriod: changed.expiryPeriod }),
  };
}
