import type { Actor, Role } from '../lifecycle';

/** What a key has to be given expressly, and a person has to have signed in freshly for. */
export const scopes = ['holds', 'reopen', 'keys', 'settings'] as const;
export type Scope = (typeof scopes)[number];

/** How somebody has shown who they are. */
export type Shown =
  | { readonly by: 'key'; readonly scopes: readonly Scope[] }
  | {
      readonly by: 'session';
      /** Its id, which opens nothing. */
      readonly session: string;
      /** By whom they signed in, as the configuration calls them. */
      readonly provider: string;
      /** When the person last proved to their provider who they are. */
      readonly authenticatedAt: Date;
    }
  | { readonly by: 'nothing' };

/** Somebody who has shown who they are. */
export interface Principal {
  readonly actor: Actor;
  readonly role: Role;
  /** The one account a customer may see. */
  readonly account?: string;
  readonly shown: Shown;
}
