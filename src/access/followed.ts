/** The collections of which something is remembered until they change; see `ChangeFeed`. */
export const followedCollections: readonly string[] = ['apiKeys', 'sessions', 'allowedAddresses'];
