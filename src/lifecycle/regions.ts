/** Where a deployment is (R25). */

/** The sites a deployment can be at, and the data region each belongs to. */
export const sites = { 'us-west-1': 'US', 'us-east-1': 'US', 'eu-central-1': 'EU' } as const;
export type Site = keyof typeof sites;

/**
 * Whether a name of a region means a site: its own name, or its data region's. Does not care for case.
 *
 * @param name what somebody else calls the region, such as `EU` or `us-east-1`
 */
export function meansSite(name: string, site: string): boolean {
  const wanted = name.trim().toLowerCase();
  const dataRegion = Object.entries(sites).find(([known]) => known === site)?.[1];
  return wanted === site.toLowerCase() || wanted === dataRegion?.toLowerCase();
}
