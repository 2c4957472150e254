/** Hearing from an identity provider that somebody has signed out there (OpenID Connect Back-Channel Logout 1.0). */
import { z } from 'zod';
import { userIdOf, type SessionDocument } from '../../access';
import { SignInError, type LogoutToken } from '../../sso';
import { endedEntry } from '../sign-in/own-sessions';
import { notFound, Problem } from '../problems';
import { route, type Call, type Route } from '../route';
import { noQuerySchema } from '../schemas';
import { spendOnce } from '../sign-in/sign-in';
import type { Workshop } from '../workshop';

const paramsSchema = z.strictObject({ provider: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/) });
const bodySchema = z.object({ logout_token: z.string().min(1).max(16_384) });

export function backchannelLogoutRoutes(workshop: Workshop): Route[] {
  const { store, signIn, clock, log } = workshop;
  return [
    route({
      method: 'post',
      path: '/auth/:provider/backchannel-logout',
      roles: 'public',
      summary: 'Ends the sessions of somebody who has signed out with their identity provider; for the provider.',
      params: paramsSchema,
      query: noQuerySchema,
      body: bodySchema,
      bodyTypes: { 'application/x-www-form-urlencoded': bodySchema },
      form: true,
      // Providers come from where they come from, and sign what they say.
      listed: false,
      idempotent: false,
      bounded: false,
      answers: { 200: { description: 'The sessions have ended, if there were any.' } },
      async handle(call) {
        const provider = signIn?.providers.find(({ id }) => id === call.params.provider);
        if (signIn === undefined || provider === undefined) throw notFound('there is no such identity provider');
        try {
          await end(call, provider.id, await provider.readLogoutToken(call.body.logout_token));
        } catch (error) {
          if (!(error instanceof SignInError)) throw error;
          if (error.fault === 'provider-away')
            throw new Problem('unavailable', error.message, {}, { 'Retry-After': '2' });
          log.warn({ provider: provider.id, err: error.cause }, 'a logout token was not believed');
          const problem = new Problem('validation', 'the logout token is not to be believed, or came before');
          throw problem.because('sign-in', { cause: 'logout-token' });
        }
        return { status: 200 };
      },
    }),
  ];

  async function end(
    call: Call,
    provider: string,
    { id, issuer, subject, providerSession }: LogoutToken,
  ): Promise<void> {
    if (signIn === undefined) return;
    const { sessions } = signIn;
    const user =
      subject === undefined ? undefined : userIdOf(await store.vault.systemCipher('lookups'), issuer, subject);
    const index =
      providerSession === undefined ? undefined : await sessions.providerSessionIndex(provider, providerSession);
    const ended = await store.transaction(async (session) => {
      await spendOnce(workshop, session, `logout\n${provider}\n${id}`);
      const gone = await sessions.end(session, whichOf(user, index));
      for (const [person, theirs] of byUser(gone)) {
        await store.audit.append(session, {
          at: clock(),
          actor: call.principal.actor,
          requestId: call.requestId,
          ...endedEntry('session.ended', theirs, { by: 'provider', provider, user: person }),
        });
      }
      return gone;
    });
    sessions.forget(ended);
  }
}

/** The provider's session where it names one, of the person where it says whose; all of the person's otherwise. */
function whichOf(user: string | undefined, providerSession: string | undefined) {
  if (providerSession !== undefined) return { providerSession, ...(user === undefined ? {} : { of: user }) };
  return { user: user ?? '' };
}

function byUser(ended: readonly SessionDocument[]): Map<string, SessionDocument[]> {
  const users = new Map<string, SessionDocument[]>();
  for (const one of ended) users.set(one.user, [...(users.get(one.user) ?? []), one]);
  return users;
}
