/** Why somebody was not signed in. */
export type SignInFault =
  /** The provider cannot be reached, or does not answer in time. */
  | 'provider-away'
  /** The provider said no, or the person did. */
  | 'denied'
  /** What came back does not belong to a sign-in that was begun here and is still open. */
  | 'state'
  /** The sign-in was completed before. */
  | 'replayed'
  /** The provider's answer or token is not what it has to be. */
  | 'token'
  /** The person is of no organisation that is let in. */
  | 'organisation'
  /** The person has no role here. */
  | 'no-role'
  /** The role is a customer's, and the account is none that can be served. */
  | 'no-account'
  /** The person is blocked. */
  | 'blocked'
  /** A fresh sign-in came back as somebody else. */
  | 'other-person'
  /** The provider did not ask the person again. */
  | 'not-fresh';

/** Nobody was signed in, and nothing has changed. The message is for the person, and for the log. */
export class SignInError extends Error {
  override readonly name = 'SignInError';
  /** Who it was, where they are known here. */
  user?: string;

  constructor(
    readonly fault: SignInFault,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}
