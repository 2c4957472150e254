import type { Actor, Role } from '../lifecycle';

/** Somebody who has shown who they are. */
export interface Principal {
  readonly actor: Actor;
  readonly role: Role;
  /** The one account a customer may see. */
  readonly account?: string;
}
