/** The transitions somebody may ask for (R3, R4, R2, R8): each a message to the account's workflow. */
import type { z } from 'zod';
import { permissions } from '../../access';
import type { CommandName } from '../../lifecycle';
import { accountShape } from '../answers/accounts';
import { answers } from '../answers/words';
import { command } from '../commands';
import { accountFor } from '../representation';
import { route, type Route, type Standing } from '../route';
import {
  accountParamsSchema,
  closeSchema,
  noQuerySchema,
  reinstateSchema,
  reopenSchema,
  suspendSchema,
} from '../schemas';
import type { Workshop } from '../workshop';

type TransitionName = Extract<CommandName, 'suspend' | 'reinstate' | 'close' | 'reopen'>;

export function transitionRoutes(workshop: Workshop): Route[] {
  return [
    transition('suspend', suspendSchema, 'Suspends an account, or adds another cause.'),
    transition('reinstate', reinstateSchema, 'Resolves causes; with the last of them the account is active again.'),
    // R8: a customer may close a suspended account too.
    transition('close', closeSchema, 'Closes an account.', 'not-expired'),
    transition('reopen', reopenSchema, 'Reopens a closed account before its erasure has begun.'),
  ];

  function transition(name: TransitionName, body: z.ZodType, summary: string, standing: Standing = 'active'): Route {
    return route({
      method: 'post',
      path: `/v1/accounts/:id/${name}`,
      roles: permissions[name],
      standing,
      ...(name === 'reopen' ? { stepUp: 'reopen' as const } : {}),
      ...(name === 'close' ? { act: 'close' as const } : {}),
      summary,
      answers: answers(accountShape, 'The account', ['ETag']),
      params: accountParamsSchema,
      query: noQuerySchema,
      body,
      async handle(call) {
        const { account } = await command(workshop, call, call.params.id, name, call.body);
        const settings = await workshop.defaults.current();
        return {
          status: 200,
          body: await accountFor(workshop, account, call.principal, settings),
          version: account.version,
        };
      },
    });
  }
}
