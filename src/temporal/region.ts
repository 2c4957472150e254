/** One namespace, one region (R25). */
import { setTimeout as sleep } from 'node:timers/promises';
import { isGrpcServiceError, type Client } from '@temporalio/client';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import type { Context } from '@temporalio/activity';
import { WrongRegionError } from '../data';
import { sites } from '../lifecycle';
import { sweepIdOf } from './schedules';

const patience = 3000;
/** gRPC's codes that say so: NOT_FOUND. */
const absent: ReadonlySet<number> = new Set([5]);

/**
 * Makes sure that no other region lives in a namespace: each has its sweep there, under its own name.
 *
 * @throws {WrongRegionError} another one does
 */
export async function assertNamespace(client: Client, region: string): Promise<void> {
  for (const other of Object.keys(sites).filter((site) => site !== region)) {
    const { namespace } = client.options;
    try {
      // Past the client's own call: that would open what only the other region has a key for.
      await client.withDeadline(Date.now() + patience, () =>
        client.workflowService.describeSchedule({ namespace, scheduleId: sweepIdOf(other) }),
      );
    } catch (error) {
      if (isGrpcServiceError(error) && absent.has(error.code)) continue;
      throw error;
    }
    throw new WrongRegionError(
      `the namespace ${namespace} belongs to ${other}, and this process to ${region}: ` +
        `see ABLAUF_REGION and ABLAUF_TEMPORAL_NAMESPACE (its schedule ${sweepIdOf(other)} says so)`,
    );
  }
}

const pause = 1000;

/**
 * {@link assertNamespace}, asked until Temporal answers: a process may start while it is away.
 *
 * @param signal ends it
 */
export async function keepAssertingNamespace(client: Client, region: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await assertNamespace(client, region);
      return;
    } catch (error) {
      if (error instanceof WrongRegionError) throw error;
    }
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
}

/** Lets no workflow of another region ask for anything: ids of ours begin with `KIND/REGION/`. */
export function ownRegionOnly(region: string): (context: Context) => { inbound: ActivityInboundCallsInterceptor } {
  return ({ info }) => ({
    inbound: {
      execute(input, next) {
        const [, named = region] = info.workflowExecution?.workflowId.split('/') ?? [];
        if (named !== region && Object.hasOwn(sites, named)) {
          throw new WrongRegionError(`a workflow of ${named} asks a worker of ${region}`);
        }
        return next(input);
      },
    },
  });
}
