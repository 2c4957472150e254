/** Talking to accounts' workflows: one message out, one clear outcome back. */
import {
  Connection,
  isGrpcServiceError,
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
} from '@temporalio/client';
import { ApplicationFailure, WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import type { CommandName, Refusal } from '../lifecycle';
import {
  accountWorkflowType,
  createdUpdate,
  failureTypes,
  initialAttributes,
  staticDetails,
  staticSummary,
  type AccountInput,
  type MessageContext,
  type Recorded,
} from '../workflows';
import { UnreadablePayloadError } from './codec';
import { CourseMissingError, OutcomeUnknownError, RefusedError, TemporalUnavailableError } from './errors';
import { securityOptions, type TemporalSecurity } from './security';

/** What creating an account takes; the rest of {@link AccountInput} is the deployment's. */
export type NewCourse = Omit<AccountInput, 'region' | 'carried'>;

/** The courses of one region's accounts. */
export interface Courses {
  /** Makes sure Temporal answers, before anything is sent. @throws {TemporalUnavailableError} */
  reach(): Promise<void>;
  /**
   * Begins an account's course, and waits until its creation is recorded. Repeating it with the same draft is safe.
   *
   * @throws {RefusedError} the id is taken
   * @throws {OutcomeUnknownError} no answer in time
   */
  create(course: NewCourse, updateId: string): Promise<Recorded>;
  /**
   * Sends a message, and waits until its effect is recorded. Repeating it with the same update id is safe.
   *
   * @throws {RefusedError} it does not apply; nothing changed
   * @throws {OutcomeUnknownError} no answer in time
   * @throws {CourseMissingError} no workflow runs for the account
   */
  send(account: string, name: CommandName, body: unknown, context: MessageContext, updateId: string): Promise<Recorded>;
}

export interface CoursesOptions {
  readonly connection: Connection;
  readonly client: Client;
  readonly region: string;
  readonly taskQueue: string;
  /** How long to wait for an answer, in milliseconds. @default 3300 */
  readonly patience?: number;
}

/** How long Temporal may take to say that it is there, in milliseconds. With the answer's it stays below five seconds. */
const reachPatience = 1500;
/** Between two tries while one run hands over to the next, in milliseconds. */
const handOverPause = 50;

/** The id of an account's workflow: `account/REGION/ID`. */
export function workflowIdOf(region: string, account: string): string {
  return `account/${region}/${account}`;
}

/**
 * A connection that comes back by itself within a second or so of the server. It is not made before it is needed, so
 * that a process can start while Temporal is away.
 */
export function connectLazily(address: string, security: TemporalSecurity = {}): Connection {
  return Connection.lazy({
    address,
    ...securityOptions(security),
    connectTimeout: '2 seconds',
    channelArgs: {
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.min_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
    },
  });
}

export function openCourses({ connection, client, region, taskQueue, patience = 3300 }: CoursesOptions): Courses {
  async function answered(ask: () => Promise<Recorded>): Promise<Recorded> {
    const deadline = Date.now() + patience;
    for (;;) {
      try {
        return await client.withDeadline(deadline, ask);
      } catch (error) {
        if (!isHandingOver(error)) throw outcomeOf(error);
        if (Date.now() + handOverPause > deadline) throw new OutcomeUnknownError('the account did not answer in time');
        await new Promise((resolve) => setTimeout(resolve, handOverPause));
      }
    }
  }

  return {
    async reach() {
      try {
        await connection.withDeadline(Date.now() + reachPatience, () => connection.healthService.check({}));
      } catch (error) {
        throw new TemporalUnavailableError('Temporal cannot be reached', { cause: error });
      }
    },

    create(course, updateId) {
      const input: AccountInput = { ...course, region };
      return answered(() =>
        client.workflow.executeUpdateWithStart(createdUpdate, {
          args: [{ draftId: course.draftId }],
          updateId,
          startWorkflowOperation: new WithStartWorkflowOperation(accountWorkflowType, {
            workflowId: workflowIdOf(region, course.account),
            taskQueue,
            args: [input],
            // Whether an id is free is the database's to say: it remembers erased accounts, Temporal forgets them.
            workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
            workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
            typedSearchAttributes: initialAttributes(course.account, course.origin.state),
            staticSummary: staticSummary(course.account, region),
            staticDetails: staticDetails(course.account),
          }),
        }),
      );
    },

    send(account, name, body, context, updateId) {
      const handle = client.workflow.getHandle(workflowIdOf(region, account));
      return answered(() =>
        handle.executeUpdate<Recorded, [unknown, MessageContext]>(name, { args: [body, context], updateId }),
      );
    },
  };
}

/** The run ended under the message: its successor answers, and knows it if it was carried out. */
const handingOver: ReadonlySet<string> = new Set([failureTypes.rollingOver, 'AcceptedUpdateCompletedWorkflow']);

/** Whether asking again, with the same id, is all there is to do. */
function isHandingOver(error: unknown): boolean {
  if (error instanceof WorkflowUpdateFailedError) return handingOver.has(failureTypeOf(error) ?? '');
  // An update the server had taken in, and forgot before any worker accepted it.
  return error instanceof WorkflowNotFoundError && /^update ".*" not found$/.test(error.message);
}

function failureTypeOf(error: WorkflowUpdateFailedError): string | undefined {
  return error.cause instanceof ApplicationFailure ? (error.cause.type ?? undefined) : undefined;
}

/** What an error says of the message, in our terms. */
function outcomeOf(error: unknown): Error {
  if (error instanceof WorkflowUpdateFailedError) {
    const { cause } = error;
    if (cause instanceof ApplicationFailure && cause.type === failureTypes.refused) {
      return new RefusedError(cause.details?.[0] as Refusal);
    }
    return error;
  }
  if (error instanceof WorkflowNotFoundError)
    return new CourseMissingError('no workflow runs for the account', { cause: error });
  // It was sent: whatever broke after that, it may still be carried out. An answer nobody can open is none.
  if (isConnectionTrouble(error) || error instanceof UnreadablePayloadError)
    return new OutcomeUnknownError('no answer in time; ask again with the same key', { cause: error });
  return error instanceof Error ? error : new Error('unknown failure', { cause: error });
}

/** The gRPC codes after which nobody can tell what became of a call. With any other the server itself turned it down. */
const troubles: ReadonlySet<number> = new Set([
  1, // CANCELLED
  2, // UNKNOWN
  4, // DEADLINE_EXCEEDED
  8, // RESOURCE_EXHAUSTED
  10, // ABORTED
  13, // INTERNAL
  14, // UNAVAILABLE
]);

function isConnectionTrouble(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'WorkflowUpdateRPCTimeoutOrCancelledError') return true;
  return [error, error.cause].some((one) => isGrpcServiceError(one) && troubles.has(one.code));
}
