/** What `ablauf keys rotate` is made of. */

/** What `--json` and `--detach` say to every rotation. */
export interface RotateOptions {
  readonly json?: true;
  readonly detach?: true;
}

/** Something `ablauf keys rotate` can replace, in a file of its own. */
export interface KeyRotation {
  /** The option that asks for it, such as `--signing`; absent for what is rotated where none is given. */
  readonly flag?: string;
  readonly description: string;
  /** Further options of its own, which say nothing to another rotation. */
  readonly options?: readonly { readonly flag: string; readonly description: string }[];
  /** Does it, prints what came of it, and sets the exit code where that is not 0. */
  run(options: RotateOptions): Promise<void>;
}
