/** The API on the real system, spoken to over real HTTP. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import {
  createKeyring,
  createSessions,
  followedCollections,
  noteKeyUses,
  registerAddressLists,
  registerApprovals,
  registerKeys,
  registerKeyUses,
  registerSessions,
  registerUsers,
  scopeRoles,
  scopes,
  type KeyUses,
  type Scope,
  type SessionLimits,
} from '../../src/access';
import {
  contractOf,
  createApp,
  keepRefusals,
  registerIdempotency,
  routesOf,
  type ApiDependencies,
  type Route,
} from '../../src/api';
import { registerRateLimits } from '../../src/edge';
import { prepareStore } from '../../src/data';
import { followChanges } from '../../src/database';
import type { Role } from '../../src/lifecycle';
import { openProvider, type ProviderSettings } from '../../src/sso';
import type { Courses } from '../../src/temporal';
import { contractChecker } from './contract';
import { loudly, region, startSystem, startTimeSkippingSystem, type System, type SystemOptions } from './system';

export const adminKey = 'an-administrator-of-tests';

/** An answer, its body read. */
export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  // What came over the wire is not typed; each test says what it expects of it.
  readonly body: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export interface Asked {
  readonly key?: string | null;
  readonly body?: unknown;
  readonly raw?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Api {
  readonly system: System;
  readonly url: string;
  readonly routes: readonly Route[];
  /** Lines the API logged. */
  readonly logged: string[];
  ask(method: string, path: string, asked?: Asked): Promise<Answered>;
  /** Writes down when keys were last used, as far as it is due. */
  readonly uses: KeyUses;
  /** Makes a key, with every scope its role has a use for where none are named. */
  keyFor(role: Role, account?: string, name?: string, given?: readonly Scope[]): Promise<string>;
  stop(): Promise<void>;
}

/** Stands between the API and Temporal, for tests of what happens when the two lose each other. */
export class Interposer {
  /** Instead of reaching Temporal. */
  reaching: (() => Promise<void>) | undefined;
  /** After a message was carried out, before its answer is given. */
  answering: (() => Promise<never>) | undefined;

  /** Lets everything through again. */
  reset(): void {
    this.reaching = undefined;
    this.answering = undefined;
  }

  between(courses: Courses): Courses {
    return {
      reach: () => this.reaching?.() ?? courses.reach(),
      create: (...course) => courses.create(...course),
      send: async (...message) => {
        const recorded = await courses.send(...message);
        await this.answering?.();
        return recorded;
      },
    };
  }
}

export interface ApiOptions extends SystemOptions {
  readonly dependencies?: (given: ApiDependencies) => ApiDependencies;
  /** Identity providers people sign in with, and how that is set up. */
  readonly signIn?: {
    readonly providers: readonly ProviderSettings[];
    readonly limits?: Partial<SessionLimits>;
    readonly publicUrl?: string;
  };
  /** @default the machine's own */
  readonly clock?: () => Date;
}

/** How long sessions last where a test says nothing else. */
const standardLimits: SessionLimits = { idle: 3_600_000, lifetime: 43_200_000 };

/** Starts it. The administrator's key is used where a request names none; `null` sends none. */
export async function startApi(options: ApiOptions = {}): Promise<Api> {
  return serve(await startSystem(options), options);
}

/** The same on the server that skips time. The API itself goes by the machine's clock. */
export async function startTimeSkippingApi(options: ApiOptions = {}): Promise<Api> {
  return serve(await startTimeSkippingSystem(options), options);
}

async function serve(system: System, options: ApiOptions): Promise<Api> {
  const { store } = system;
  const model = registerKeys(store.connection);
  registerKeyUses(store.connection);
  registerApprovals(store.connection);
  registerAddressLists(store.connection);
  registerIdempotency(store.connection);
  registerRateLimits(store.connection);
  const models = registerSessions(store.connection);
  registerUsers(store.connection);
  await prepareStore(store);
  const { clock = () => new Date() } = options;
  const logged: string[] = [];
  const feed = followChanges(store.connection, { collections: followedCollections, log: loudly });
  const log = pino({ level: 'info' }, { write: (line: string) => logged.push(line) });
  const uses = noteKeyUses({ store, log: loudly });
  const given: ApiDependencies = {
    store,
    courses: system.courses,
    jobs: system.jobs,
    guard: system.guard,
    archives: system.archives,
    keys: createKeyring({ model, feed, adminKey, clock, uses }),
    feed,
    refusals: keepRefusals({ store, clock, log }),
    signIn: {
      providers: (options.signIn?.providers ?? []).map((provider) => openProvider(provider, { clock })),
      sessions: createSessions({
        models,
        vault: store.vault,
        feed,
        limits: { ...standardLimits, ...options.signIn?.limits },
        clock,
        log: loudly,
      }),
      ...(options.signIn?.publicUrl === undefined ? {} : { publicUrl: options.signIn.publicUrl }),
    },
    settings: system.settings,
    region,
    accountPaths: [['metadata', 'user_api_key_org_id']],
    clock,
    log,
    health: () => Promise.resolve({ mongodb: 'ok', temporal: 'ok', worker: 'ok' }),
    patience: 20_000,
    ...(options.processors === undefined ? {} : { processors: options.processors }),
  };
  const dependencies = options.dependencies?.(given) ?? given;
  const server = await listen(createServer(createApp(dependencies)));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const routes = routesOf(dependencies);
  const flawOf = contractChecker(contractOf(routes, { region }), routes);

  async function ask(
    method: string,
    path: string,
    { key = adminKey, body, raw, headers = {} }: Asked = {},
  ): Promise<Answered> {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(raw !== undefined ? { body: raw } : body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const flaw = flawOf({ method, path, status: response.status, headers: response.headers, text });
    // Whatever a test is about: an answer that is not as published is a fault.
    if (flaw !== undefined) throw new Error(flaw);
    const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: isJson && text !== '' ? (JSON.parse(text) as Record<string, unknown>) : {},
      text,
    };
  }

  return {
    system,
    url,
    routes,
    logged,
    ask,
    uses,
    async keyFor(role, account, name, given = scopesOf(role)) {
      const body = {
        role,
        scopes: given,
        ...(account === undefined ? {} : { account }),
        ...(name === undefined ? {} : { name }),
      };
      const made = await ask('POST', '/v1/api-keys', { body });
      if (made.status !== 201) throw new Error(`no key was made: ${made.text}`);
      return String(made.body['key']);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await dependencies.refusals.stop();
      await uses.stop();
      await feed.stop();
      await system.stop();
    },
  };
}

/** The scopes a role has a use for. */
export function scopesOf(role: Role): Scope[] {
  return scopes.filter((scope) => (scopeRoles[scope] as readonly Role[]).includes(role));
}

/** Listens on a free port. */
export function listen(server: Server): Promise<Server> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}
