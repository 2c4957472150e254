/** Lists of allowed addresses (R27): the deployment's, and each account's. See `docs/addresses.md`. */
import { z } from 'zod';
import {
  addressUses,
  cipherOfList,
  compileList,
  deploymentList,
  entriesOf,
  findList,
  permissions,
  readNetwork,
  replaceList,
  type AddressEntry,
} from '../../access';
import { answers } from '../answers/words';
import { Problem } from '../problems';
import { route, type Answer, type Call, type Route } from '../route';
import { accountParamsSchema, noQuerySchema } from '../schemas';
import { openAccount } from '../standing';
import type { Workshop } from '../workshop';
import { write } from '../writes';

const mostEntries = 1000;
/** A thousand entries with their notes. */
const maxBody = 1024 * 1024;

const network = z
  .string()
  .trim()
  .max(64)
  .transform((text, context) => {
    const read = readNetwork(text);
    if ('network' in read) return read.network.cidr;
    context.addIssue({ code: 'custom', message: read.flaw });
    return z.NEVER;
  });

const entrySchema = z.strictObject({
  cidr: network.describe('An IPv4 or IPv6 address, or a network'),
  note: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .regex(/^\P{Cc}*$/u, 'must not hold control characters')
    .optional(),
  for: z.array(z.enum(addressUses)).min(1).max(addressUses.length).optional().describe('Both, where it is absent'),
});
const listSchema = z.strictObject({ entries: z.array(entrySchema).max(mostEntries) });
type NewList = z.output<typeof listSchema>;

const listShape = z
  .object({
    entries: z.array(
      z.object({
        cidr: z.string(),
        note: z.string().optional(),
        for: z.array(z.enum(addressUses)).optional().describe('Both, where it is absent'),
      }),
    ),
  })
  .meta({ id: 'AllowedAddresses' });
const answered = answers(listShape, 'The list; without entries it restricts nothing', ['ETag']);

export function allowedIpRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/settings/allowed-ips',
      roles: permissions.readSettings,
      summary: "Reads the deployment's list of allowed addresses.",
      query: noQuerySchema,
      answers: answered,
      handle: () => read(workshop, deploymentList),
    }),
    route({
      method: 'put',
      path: '/v1/settings/allowed-ips',
      roles: permissions.changeAddresses,
      stepUp: 'settings',
      summary: "Replaces the deployment's list of allowed addresses; refused where it would lock out who asks.",
      query: noQuerySchema,
      body: listSchema,
      maxBody,
      answers: answered,
      handle: (call) => replace(workshop, call, deploymentList),
    }),
    route({
      method: 'get',
      path: '/v1/accounts/:id/allowed-ips',
      roles: permissions.readAccountAddresses,
      summary: "Reads an account's list of allowed addresses.",
      params: accountParamsSchema,
      query: noQuerySchema,
      answers: answered,
      async handle(call) {
        const account = await openAccount(workshop, call, call.params.id);
        return read(workshop, account._id);
      },
    }),
    route({
      method: 'put',
      path: '/v1/accounts/:id/allowed-ips',
      roles: permissions.changeAccountAddresses,
      summary:
        "Replaces an account's list of allowed addresses; refused where it would lock out the customer who asks.",
      params: accountParamsSchema,
      query: noQuerySchema,
      body: listSchema,
      maxBody,
      answers: answered,
      handle: (call) => replace(workshop, call, call.params.id),
    }),
  ];
}

async function read({ store }: Workshop, id: string): Promise<Answer> {
  const found = await findList(store, id);
  if (found === null) return { status: 200, body: { entries: [] }, version: 0 };
  const entries = entriesOf(await cipherOfList(store.vault, id), found);
  return { status: 200, body: { entries }, version: found.version };
}

async function replace(workshop: Workshop, call: Call<unknown, unknown, NewList>, id: string): Promise<Answer> {
  const { store, clock, addresses } = workshop;
  const entries = folded(call.body);
  const answer = await write(workshop, call, async (session) => {
    if (id !== deploymentList) await openAccount(workshop, call, id, session);
    const found = await findList(store, id, session);
    const current = found?.version ?? 0;
    if (call.ifVersion !== undefined && call.ifVersion !== current) {
      throw new Problem('precondition-failed', `the list is at version ${current}, not ${call.ifVersion}`);
    }
    const before = found === null ? [] : entriesOf(await cipherOfList(store.vault, id), found);
    if (JSON.stringify(before) === JSON.stringify(entries)) {
      return { answer: { status: 200, body: { entries }, version: current } };
    }
    assertNotLockedOut(call, id, entries);
    const version = current + 1;
    if (!(await replaceList(store, session, { id, entries, version, at: clock() }))) {
      throw new Problem('conflict', 'the account is being erased');
    }
    return {
      answer: { status: 200, body: { entries }, version },
      entry: {
        action: 'addresses.changed',
        details: { before: { entries: before }, after: { entries } },
        ...(id === deploymentList ? {} : { account: id }),
      },
    };
  });
  addresses.forget(id);
  return answer;
}

/** What says the same twice is one entry, with the first note there is. */
function folded({ entries }: NewList): AddressEntry[] {
  const found = new Map<string, AddressEntry>();
  for (const { cidr, note, for: given } of entries) {
    const uses = addressUses.filter((use) => given === undefined || given.includes(use));
    const key = [cidr, ...uses].join(' ');
    const text = found.get(key)?.note ?? note;
    found.set(key, {
      cidr,
      ...(text === undefined ? {} : { note: text }),
      ...(uses.length === addressUses.length ? {} : { for: uses }),
    });
  }
  return [...found.values()];
}

/**
 * R27: whoever changes the list of the deployment, or a customer that of its account, has to be able to change it back. An
 * administrator or operator is not bound by an account's list.
 *
 * @throws {Problem} conflict
 */
function assertNotLockedOut({ principal }: Call, id: string, entries: readonly AddressEntry[]): void {
  if (id !== deploymentList && principal.role !== 'customer') return;
  const { address } = principal.actor;
  const list = compileList(entries);
  if (list.admits('instance', address)) return;
  throw new Problem(
    'conflict',
    address === undefined
      ? 'where you come from is not known, so nobody can tell whether this list would lock you out'
      : `this list would lock you out: you come from ${address}, which it does not hold`,
  );
}
