/** Opening the data's database as it is configured; see `config.ts`. */
import type { Config } from './config';
import { openStore, type Store } from './data';
import type { Vault } from './vault';

/** @param vault open already; closed with the store */
export function openConfiguredStore(
  { mongodbUri, region, transit }: Config,
  vault: Vault,
  options: { readonly appName: string; readonly socketTimeout?: number },
): Promise<Store> {
  return openStore({
    ...options,
    uri: mongodbUri,
    region,
    vault,
    ...(transit.mongodb === undefined ? {} : { tls: transit.mongodb }),
  });
}
