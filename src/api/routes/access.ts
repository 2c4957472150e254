/** Whether an account may be served (R16), and from which address (R27): asked on every request of a gateway, so it does as little as it can. */
import { permissions } from '../../access';
import type { AccountDocument } from '../../data';
import { accessOf } from '../../lifecycle';
import { accessShape } from '../answers/accounts';
import { answers } from '../answers/words';
import { route, type Route } from '../route';
import { accessQuerySchema, accountParamsSchema } from '../schemas';
import { seekAccount } from '../standing';
import type { Workshop } from '../workshop';

const needed = { projection: { region: 1, state: 1, deadline: 1, listed: 1, 'lifecycle.causes': 1 } } as const;

export function accessRoutes(workshop: Workshop): Route[] {
  const { addresses } = workshop;
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id/access',
      roles: permissions.checkAccess,
      standing: 'any',
      summary: 'Says whether an account may be served, and from an address where one is given.',
      answers: answers(accessShape, 'Whether it may be served, and why not'),
      params: accountParamsSchema,
      query: accessQuerySchema,
      async handle(call) {
        const { id } = call.params;
        const account = await seekAccount(workshop, call, id, needed);
        const { state, lifecycle, deadline } = account;
        const until = deadline === undefined ? undefined : { at: deadline.at.toISOString() };
        const access = accessOf(id, state, lifecycle.causes[0]?.reason, until);
        const { ip } = call.query;
        const refused = access.allowed && ip !== undefined && !(await isServed(account, ip));
        return { status: 200, body: refused ? { ...access, allowed: false, code: 'ip-not-allowed' } : access };
      },
    }),
  ];

  /** Whether the gateway may serve an address: the deployment's list says so, and the account's. */
  async function isServed({ _id, listed }: AccountDocument, address: string): Promise<boolean> {
    const everywhere = addresses.deployment();
    const list = everywhere instanceof Promise ? await everywhere : everywhere;
    if (!list.admits('gateway', address)) return false;
    return listed !== true || (await addresses.of(_id)).admits('gateway', address);
  }
}
