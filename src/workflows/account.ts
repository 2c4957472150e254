/*
 * One customer account, from creation to erasure.
 *
 * 1. Everything goes through one queue: messages by update or signal, and timers. One is finished, recorded and
 *    answered before the next is looked at, so no two decisions are ever made on the same state.
 * 2. A step is taken in three moves, in this order: decide (pure), record (account and audit entry in one database
 *    transaction), then become. What is not recorded has not happened.
 * 3. Deadlines are absolute and live in the state; timers only wake. Nothing is lost when the run is rolled over.
 * 4. Messages come before timers: what was sent before a deadline counts, even if the worker was away when it passed.
 * 5. The record and this workflow may have been restored from different moments. Before each decision, and before an erasure,
 *    the two are compared: where the record is ahead this workflow adopts it, where it is behind it is given what it has lost.
 * 6. Nothing irreversible rests on what the workflow believes: the activities that erase ask the database first, in the
 *    transaction that deletes.
 */
import {
  ActivityCancellationType,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  currentUpdateInfo,
  getExternalWorkflowHandle,
  log,
  makeContinueAsNewFunc,
  patched,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  ParentClosePolicy,
  setHandler,
  startChild,
  upsertSearchAttributes,
  uuid4,
  workflowInfo,
  type ChildWorkflowOptions,
} from '@temporalio/workflow';
import { ActivityFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type {
  Activities,
  ConcludedErasure,
  LookedUp,
  Question,
  RecordedStep,
  StepRecord,
  Surroundings,
} from '../activities';
import {
  begin,
  bySystem,
  deadlineOf,
  decide,
  MAX_PERIOD,
  nextWake,
  refuse,
  toInstant,
  type Actor,
  type Command,
  type CommandName,
  type Decision,
  type Hold,
  type Instant,
  type Lifecycle,
  type Origin,
  type Refusal,
  type Settings,
  type Step,
  type Wake,
} from '../lifecycle';
import { exportWorkflowId, withdrawSignal } from './export-messages';
import { initiallyVisible, searchAttributes, visibleOf, type Visible } from './attributes';
import {
  compareSignal,
  createdUpdate,
  deadlineQuery,
  failureTypes,
  messages,
  processorWorkflowType,
  retainedWorkflowId,
  retainedWorkflowType,
  stateQuery,
  wakeSignal,
  type CourseView,
  type Message,
  type MessageContext,
  type Recorded,
} from './messages';
import { processorSummary, processorWorkflowId } from './processor-messages';
import { currentDetails, recordSummary, retainedSummary, waitSummary } from './texts';

// Answers in milliseconds as a rule. When the database is away, a timer of the server waits, not this worker.
const { lookUp } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '5 seconds',
  localRetryThreshold: '1 second',
  retry: { initialInterval: '100 milliseconds', backoffCoefficient: 2, maximumInterval: '30 seconds' },
});

// Recording repeats until the database is there. What repeating cannot mend is named, and ends it.
const { recordStep, recordCreation, recordedCourse } = proxyActivities<Activities>({
  startToCloseTimeout: '30 seconds',
  retry: {
    initialInterval: '100 milliseconds',
    backoffCoefficient: 2,
    maximumInterval: '10 seconds',
    nonRetryableErrorTypes: [
      'SequenceConflictError',
      'VersionMismatchError',
      'AccountExistsError',
      'AccountMissingError',
      'WrongRegionError',
    ],
  },
});

// Erasing may take hours. It heartbeats, goes on where it stopped, and is tried again for as long as it takes. Whoever
// stops it waits until it has stopped: what it does then is known.
const { beginErasure, eraseAccountData, concludeErasure, finishErasure } = proxyActivities<Activities>({
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  startToCloseTimeout: '7 days',
  heartbeatTimeout: '10 seconds',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '1 minute',
    nonRetryableErrorTypes: [
      'SequenceConflictError',
      'ErasureBlockedError',
      'ErasureNotDueError',
      'ErasureIncompleteError',
      'ClocksDisagreeError',
      'ErasureHeldBackError',
      'PlanDeviationError',
      'WrongRegionError',
    ],
  },
});

/** What a run begins with. Nothing personal: the profile waits in the database as the draft named here. */
export interface AccountInput {
  readonly account: string;
  readonly region: string;
  readonly draftId: string;
  readonly origin: Origin;
  /** The deployment's settings when the account was asked for. */
  readonly settings: Settings;
  readonly actor: Actor;
  readonly requestId?: string;
  /** What the run before handed on; absent in an account's first run. */
  readonly carried?: Carried;
}

/** What outlives a run. Plain JSON. */
interface Carried {
  readonly lifecycle: Lifecycle;
  readonly seq: number;
  readonly created: Recorded;
  readonly answered: readonly Answered[];
  readonly inbox: readonly Signalled[];
}

/** An update that was answered: update ids are known to one run only, so the answers travel. */
interface Answered {
  readonly id: string;
  readonly outcome: Outcome;
}

type Outcome = { readonly recorded: Recorded } | { readonly refused: Refusal };

/** A message that came as a signal, which nobody waits for. Whoever sends one speaks by hand, whatever else it says. */
interface Signalled {
  readonly name: CommandName;
  readonly body: unknown;
}

/** A message in the queue; an update's is answered through its outcome. */
interface Queued extends Signalled {
  /** As it came: whoever sends an update by hand may write anything here. */
  readonly context?: unknown;
  readonly updateId?: string;
  outcome?: Outcome;
}

/** The step that begins an erasure, and the account as it was before. */
interface Beginning {
  readonly step: StepRecord;
  readonly lifecycle: Lifecycle;
  readonly seq: number;
  /** How the erasing activity ended, once it has. */
  done?: { readonly finished: boolean; readonly held?: readonly string[] } | { readonly failure: unknown };
}

/** How an account's workflow ended. */
export interface AccountOutcome {
  readonly account: string;
  readonly outcome: 'erased' | 'not-created';
  readonly reason?: string;
}

/** Answers remembered for repeats; far more than can be under way at once. */
const rememberedAnswers = 20;
/**
 * How long to wait before trying an erasure again that the database would not let happen, in milliseconds. Each time in a
 * row doubles it, up to an hour: what does not go away by itself is not asked about every minute for ever.
 */
const pauses: ReadonlyMap<string, number> = new Map([
  // It knows of a hold, say, which this workflow does not.
  ['ErasureBlockedError', 60 * 60 * 1000],
  // Clocks differ a little.
  ['ErasureNotDueError', 10 * 1000],
  ['ClocksDisagreeError', 10 * 1000],
  // Whoever lets it go wakes this workflow.
  ['ErasureHeldBackError', 60 * 60 * 1000],
  ['PlanDeviationError', 60 * 1000],
  ['ErasureIncompleteError', 60 * 1000],
]);
const longestPause = 60 * 60 * 1000;
/** How long to wait for the erasing activity before asking again whether an erasure has begun. */
const askingAgain = '5 seconds';
/** A hold may end in the year 9999: it is waited for in stretches that nobody's arithmetic overflows at. */
const longestWait = MAX_PERIOD;

const idTaken = 'the id is taken, and ids are never reused';
const itIsErased = 'the account is erased and never comes back';

const byHand: Actor = { type: 'temporal', id: 'signal' };

/** The life of one account. See the top of this file for what it promises. */
export async function accountWorkflow(input: AccountInput): Promise<AccountOutcome> {
  // Cancelling would leave an account nobody can close or erase: the request for it changes nothing.
  return uncancelled(() => new AccountCourse(input).run());
}

function uncancelled<T>(work: () => Promise<T>): Promise<T> {
  return CancellationScope.nonCancellable(work);
}

class AccountCourse {
  readonly #input: AccountInput;
  #lifecycle: Lifecycle;
  #seq: number;
  #created: Outcome | undefined;
  readonly #answered: Answered[];
  readonly #inbox: Queued[];
  #visible: Visible;
  #rollingOver = false;
  /** Set while the erasing activity is under way: the step that began it, until that is known to be recorded. */
  #beginning: Beginning | undefined;
  /** How many holds this run has seen placed. */
  #holdsPlaced = 0;
  /** Somebody has said that what was waited for may have come. */
  #woken = false;
  /** Erasing is not tried before this moment; in milliseconds. */
  #notBefore = 0;
  /** Somebody has said that the record may be another than what this workflow knows. */
  #doubted = false;
  /** How often in a row erasing could not begin, or not be concluded. */
  #setbacks = 0;

  constructor(input: AccountInput) {
    this.#input = input;
    const { carried } = input;
    this.#lifecycle = carried?.lifecycle ?? begin(input.origin, now(), input.settings);
    this.#seq = carried?.seq ?? 0;
    this.#created = carried === undefined ? undefined : { recorded: carried.created };
    this.#answered = [...(carried?.answered ?? [])];
    this.#inbox = [...(carried?.inbox ?? [])];
    // Typed attributes outlive a run; a first run has those it was started with.
    this.#visible = carried === undefined ? initiallyVisible(input.origin.state) : visibleOf(this.#lifecycle);
    this.#register();
    this.#describe();
  }

  async run(): Promise<AccountOutcome> {
    if (this.#created === undefined) {
      const failure = await this.#create();
      if (failure !== undefined)
        return this.#end({ account: this.#input.account, outcome: 'not-created', reason: failure });
    }
    while (this.#lifecycle.state !== 'erased') {
      // From the suggestion on, no update is taken in; those that wait are answered first, and signals travel. Otherwise
      // messages that keep coming would keep this run alive until the server ends it.
      this.#rollingOver ||= workflowInfo().continueAsNewSuggested;
      if (this.#doubted) {
        await this.#compare();
        continue;
      }
      const message = this.#rollingOver && !this.#inbox.some(isUpdate) ? undefined : this.#inbox.shift();
      if (message !== undefined) await this.#answer(message);
      else if (this.#rollingOver) await this.#rollOver();
      else await this.#wait();
    }
    return this.#end({ account: this.#input.account, outcome: 'erased' });
  }

  // Restoring and handing on

  #register(): void {
    for (const { name, signal, update } of messages) {
      setHandler(signal, (body) => {
        this.#inbox.push({ name, body });
      });
      setHandler(update, (...message: Message) => uncancelled(() => this.#update(name, ...message)), {
        validator: (..._message: Message) => this.#refuseWhileRollingOver(),
      });
    }
    setHandler(createdUpdate, ({ draftId }) => uncancelled(() => this.#awaitCreation(draftId)), {
      validator: ({ draftId }) => {
        this.#refuseWhileRollingOver();
        if (typeof draftId !== 'string') throw refusal(this.#invalid([{ path: 'draftId', detail: 'must be a text' }]));
      },
    });
    setHandler(wakeSignal, () => {
      this.#notBefore = 0;
      this.#woken = true;
    });
    setHandler(compareSignal, () => {
      this.#doubted = true;
    });
    setHandler(stateQuery, () => this.#view());
    setHandler(deadlineQuery, () => deadlineOf(this.#lifecycle));
  }

  #refuseWhileRollingOver(): void {
    if (this.#rollingOver)
      throw ApplicationFailure.create({ type: failureTypes.rollingOver, message: 'ask again', nonRetryable: true });
  }

  #invalid(errors: Refusal['errors']): Refusal {
    const { refused } = refuse(this.#lifecycle, 'validation', 'the message does not fit');
    return { ...refused, ...(errors === undefined ? {} : { errors }) };
  }

  #view(): CourseView {
    const deadline = deadlineOf(this.#lifecycle);
    const wake = nextWake(this.#input.account, this.#lifecycle, this.#notBefore);
    return {
      account: this.#input.account,
      state: this.#lifecycle.state,
      since: this.#lifecycle.since,
      holds: this.#lifecycle.holds.length,
      seq: this.#seq,
      waiting: this.#inbox.length,
      ...(deadline === undefined ? {} : { deadline }),
      ...(wake === undefined ? {} : { nextWake: wake.at }),
    };
  }

  async #rollOver(): Promise<void> {
    await condition(allHandlersFinished);
    if (this.#created === undefined || !('recorded' in this.#created)) throw new Error('rolled over before creation');
    const carried: Carried = {
      lifecycle: this.#lifecycle,
      seq: this.#seq,
      created: this.#created.recorded,
      answered: this.#answered,
      // Updates are refused from here on and those before are answered; only signals can still be waiting.
      inbox: this.#inbox.map(({ name, body }) => ({ name, body })),
    };
    await makeContinueAsNewFunc<typeof accountWorkflow>()({ ...this.#input, carried });
  }

  async #end(outcome: AccountOutcome): Promise<AccountOutcome> {
    for (const message of this.#inbox.splice(0)) {
      message.outcome = refuse(this.#lifecycle, 'account-erased', itIsErased);
    }
    await condition(allHandlersFinished);
    return outcome;
  }

  // Creation

  async #create(): Promise<string | undefined> {
    const { account, actor, requestId, draftId, origin } = this.#input;
    try {
      const recorded = await recordCreation.executeWithOptions({ summary: recordSummary(1, 'account.created') }, [
        {
          account,
          seq: 1,
          transitionId: uuid4(),
          at: now(),
          actor,
          action: 'account.created',
          details: origin.state === 'active' ? {} : { state: origin.state, since: this.#lifecycle.since },
          lifecycle: this.#lifecycle,
          draftId,
          ...(requestId === undefined ? {} : { requestId }),
        },
      ]);
      this.#seq = 1;
      this.#created = { recorded };
      return undefined;
    } catch (error) {
      const type = failureTypeOf(error);
      if (type !== 'AccountExistsError' && type !== 'AccountMissingError') throw error;
      const detail = type === 'AccountExistsError' ? idTaken : 'the request for this account was given up';
      this.#created = { refused: this.#uncreated(detail) };
      return detail;
    }
  }

  #uncreated(detail: string): Refusal {
    return { code: 'conflict', detail, state: this.#lifecycle.state, allowed: [] };
  }

  async #awaitCreation(draftId: string): Promise<Recorded> {
    if (draftId !== this.#input.draftId) {
      throw refusal(this.#uncreated(idTaken));
    }
    await condition(() => this.#created !== undefined);
    return answerOf(this.#created);
  }

  // Messages

  async #update(name: CommandName, body: unknown, context: MessageContext | undefined): Promise<Recorded> {
    const updateId = currentUpdateInfo()?.id;
    const before = this.#answered.find((answer) => answer.id === updateId);
    if (before !== undefined) return answerOf(before.outcome);
    const message: Queued = {
      name,
      body,
      ...(context === undefined ? {} : { context }),
      ...(updateId === undefined ? {} : { updateId }),
    };
    this.#inbox.push(message);
    await condition(() => message.outcome !== undefined);
    return answerOf(message.outcome);
  }

  async #answer(message: Queued): Promise<void> {
    await this.#settleBeginning();
    const outcome = await this.#take(message);
    message.outcome = outcome;
    if (message.updateId !== undefined) {
      this.#answered.push({ id: message.updateId, outcome });
      this.#answered.splice(0, this.#answered.length - rememberedAnswers);
    } else if ('refused' in outcome) {
      await this.#auditIgnored(message, outcome.refused);
    }
  }

  /** A signal has no caller to tell: what was ignored, and why, stands in the audit log. */
  async #auditIgnored(message: Queued, { code, detail }: Refusal): Promise<void> {
    const details = { message: message.name, code, detail };
    await this.#record({ next: this.#lifecycle, action: 'account.message-ignored', details }, { actor: byHand });
  }

  /** Reads a message, decides, records, becomes. */
  async #take({ name, body, context }: Queued): Promise<Outcome> {
    const message = { name, body, ...(context === undefined ? {} : { context }) };
    for (;;) {
      const { surroundings, reading } = await this.#lookUp(`Look up version, plan and settings for ${name}`, {
        message,
      });
      if (this.#lifecycle.state === 'erased') return refuse(this.#lifecycle, 'account-erased', itIsErased);
      if (reading === undefined || 'flaws' in reading) return { refused: this.#invalid(reading?.flaws) };
      const outcome = await this.#carryOut(reading.command, surroundings, reading.context ?? { actor: byHand });
      if (outcome !== undefined) return outcome;
    }
  }

  /** The same for what a timer has to say; nothing where the record was ahead, and says something else. */
  async #takeOwn(command: Command): Promise<Outcome | undefined> {
    const before = this.#seq;
    const { surroundings } = await this.#lookUp('Look up version, plan and settings');
    if (this.#seq !== before) return undefined;
    return this.#carryOut(command, surroundings, { actor: bySystem });
  }

  /** Looks up what surrounds the account, and makes sure that it is the account this workflow knows. */
  async #lookUp(summary: string, question: Omit<Question, 'account'> = {}): Promise<LookedUp> {
    for (;;) {
      const looked = await lookUp.executeWithOptions({ summary }, [{ account: this.#input.account, ...question }]);
      const { recorded = this.#seq } = looked.surroundings;
      if (recorded === this.#seq) return looked;
      await this.#reconcile(recorded);
      if (this.#lifecycle.state === 'erased') return looked;
    }
  }

  /** @returns nothing where the record turned out to be ahead: what was decided rests on nothing */
  async #carryOut(command: Command, surroundings: Surroundings, context: MessageContext): Promise<Outcome | undefined> {
    const { version, recorded: _seq, ...rest } = surroundings;
    const { actor, ifVersion } = context;
    if (ifVersion !== undefined && ifVersion !== version) {
      const detail = `the account is at version ${version}, not ${ifVersion}`;
      return refuse(this.#lifecycle, 'precondition-failed', detail);
    }
    const account = this.#input.account;
    const decision = decide(this.#lifecycle, command, { account, now: now(), actor, newId: uuid4, ...rest });
    if ('refused' in decision) return decision;
    try {
      const recorded = await this.#record(decision.step, context);
      return recorded === undefined ? undefined : { recorded };
    } catch (error) {
      if (failureTypeOf(error) !== 'VersionMismatchError') throw error;
      return refuse(this.#lifecycle, 'precondition-failed', 'the account has changed since');
    }
  }

  /** Records a step, and becomes what it says. @returns nothing where the record was ahead, and was adopted */
  async #record(step: Step, context: MessageContext): Promise<Recorded | undefined> {
    const record = this.#stepRecord(step, context);
    const summary = recordSummary(record.seq, step.action);
    let recorded: RecordedStep;
    try {
      recorded = await recordStep.executeWithOptions({ summary }, [record]);
    } catch (error) {
      if (await this.#adopt(error)) return undefined;
      throw error;
    }
    const { seq, version, receipt, withdrawn = [] } = recorded;
    this.#become(step);
    for (const exportId of withdrawn) this.#withdraw(exportId);
    if (step.action === 'hold.placed') this.#holdsPlaced += 1;
    // What was waited for may have gone, or changed its date.
    if (step.action.startsWith('hold.')) this.#notBefore = 0;
    const hold = step.action === 'hold.placed' ? (step.details['hold'] as Hold) : undefined;
    return { seq, version, ...(hold === undefined ? {} : { hold }), ...(receipt === undefined ? {} : { receipt }) };
  }

  /** Tells an export that it was withdrawn (R15). Nobody waits for that: its file can no longer be fetched as it is. */
  #withdraw(exportId: string): void {
    const { account, region } = this.#input;
    const handle = getExternalWorkflowHandle(exportWorkflowId(region, account, exportId));
    handle.signal(withdrawSignal).catch((error: unknown) => {
      log.info('an export that was withdrawn had ended', { exportId, detail: messageOf(error) });
    });
  }

  #stepRecord({ next, action, details }: Step, { actor, requestId, ifVersion }: MessageContext) {
    return {
      account: this.#input.account,
      seq: this.#seq + 1,
      transitionId: uuid4(),
      at: now(),
      actor,
      action,
      details,
      lifecycle: next,
      ...(requestId === undefined ? {} : { requestId }),
      ...(ifVersion === undefined ? {} : { ifVersion }),
    };
  }

  #become({ next }: Step): void {
    this.#lifecycle = next;
    this.#seq += 1;
    this.#describe();
  }

  #describe(remark?: string): void {
    setCurrentDetails(currentDetails(this.#lifecycle, this.#seq, remark));
    const seen = this.#visible;
    const { state, nextAction, deadlineAt, holdCount } = visibleOf(this.#lifecycle);
    const changed = [
      ...(state === seen.state ? [] : [{ key: searchAttributes.accountState, value: state }]),
      ...(nextAction === seen.nextAction ? [] : [{ key: searchAttributes.nextAction, value: nextAction }]),
      ...(deadlineAt === seen.deadlineAt
        ? []
        : [{ key: searchAttributes.deadlineAt, value: deadlineAt === null ? null : new Date(deadlineAt) }]),
      ...(holdCount === seen.holdCount ? [] : [{ key: searchAttributes.holdCount, value: holdCount }]),
    ];
    if (changed.length > 0) upsertSearchAttributes(changed);
    this.#visible = { state, nextAction, deadlineAt, holdCount };
  }

  // Timers

  async #wait(): Promise<void> {
    this.#woken = false;
    const wake = nextWake(this.#input.account, this.#lifecycle, this.#notBefore);
    const disturbed = () =>
      this.#inbox.length > 0 || this.#woken || this.#doubted || workflowInfo().continueAsNewSuggested;
    if (wake === undefined) {
      await condition(disturbed);
      return;
    }
    const left = Date.parse(wake.at) - Date.now();
    if (left <= 0) return this.#act(wake);
    // Whatever ends the wait, the messages are looked at first, and then the clock again.
    await condition(disturbed, Math.min(left, longestWait), { summary: waitSummary(wake) });
  }

  async #act(wake: Wake): Promise<void> {
    if (wake.for === 'beginErasure') return this.#erase();
    const command: Command =
      wake.for === 'endHold' ? { name: 'endHold', holdId: wake.holdId ?? '' } : { name: 'endGracePeriod' };
    const outcome = await this.#takeOwn(command);
    if (outcome !== undefined && 'refused' in outcome)
      log.warn('a timer found nothing to do', { command: command.name, detail: outcome.refused.detail });
  }

  // Erasure

  async #erase(): Promise<void> {
    // A timer of a workflow that was restored may have been overtaken long ago.
    if (patched('compared-before-erasing') && (await this.#compare())) return;
    const started = this.#decideBySystem({ name: 'beginErasure' });
    if (started === undefined) return;
    const step = this.#stepRecord(started, { actor: bySystem });
    const beginning: Beginning = { step, lifecycle: this.#lifecycle, seq: this.#seq };
    void eraseAccountData
      .executeWithOptions({ summary: `Erase the data of account ${this.#input.account}` }, [
        { step, again: this.#setbacks > 0 },
      ])
      .then(
        (result) => (beginning.done = result),
        (failure: unknown) => (beginning.done = { failure }),
      );
    this.#beginning = beginning;
    const holdsBefore = this.#holdsPlaced;
    this.#become(started);
    // Messages are answered meanwhile, and before anything comes of its end: a hold stops the erasure between two batches,
    // or keeps what is left beside the records (R9).
    for (;;) {
      await condition(() => beginning.done !== undefined || this.#inbox.length > 0);
      const failed = beginning.done !== undefined && 'failure' in beginning.done;
      const message = failed ? undefined : this.#inbox.shift();
      if (message === undefined) break;
      await this.#answer(message);
    }
    const ended = beginning.done ?? { finished: false };
    if ('failure' in ended && failureTypeOf(ended.failure) !== 'PlanDeviationError') {
      if (!(await this.#adopt(ended.failure))) this.#withdrawBeginning(ended.failure);
      return;
    }
    this.#beginning = undefined;
    if ('failure' in ended) {
      // It had begun, and stopped before it did anything the plan does not say: it begins anew, under a plan of its own.
      this.#describe(`erasure stopped: ${messageOf(ended.failure)}`);
      this.#pause(pauseAfter(ended.failure) ?? 0);
      return;
    }
    // A hold placed meanwhile makes the erasure begin anew, even if it is gone again (R9).
    if (!ended.finished || this.#holdsPlaced !== holdsBefore) return;
    if (ended.held === undefined || ended.held.length === 0) await this.#conclude();
    else await this.#spare(ended.held);
  }

  /**
   * Makes sure that the step which began the erasure is on record before the next one is decided: the erasing activity
   * records the very same step, and whoever comes second finds it recorded.
   */
  async #settleBeginning(): Promise<void> {
    const beginning = this.#beginning;
    if (beginning === undefined) return;
    const { step } = beginning;
    for (;;) {
      try {
        await beginErasure.executeWithOptions({ summary: recordSummary(step.seq, step.action) }, [{ step }]);
        this.#beginning = undefined;
        return;
      } catch (error) {
        if (await this.#adopt(error)) return;
        if (pauseAfter(error) === undefined) throw error;
        // The erasing activity asks the same thing at a moment of its own, and may yet be told yes: until it has ended, the
        // number of this step is not free for another. If it was told yes, a hold must not wait until all is erased.
        const ended = await condition(() => beginning.done !== undefined, askingAgain);
        if (!ended) continue;
        if (beginning.done !== undefined && 'failure' in beginning.done) this.#withdrawBeginning(error);
        else this.#beginning = undefined;
        return;
      }
    }
  }

  /** The database knows of something that forbids the erasure, and this workflow did not: wait, then look again. */
  #withdrawBeginning(failure: unknown): void {
    const pause = pauseAfter(failure);
    if (pause === undefined) throw failure;
    if (this.#beginning === undefined) return;
    this.#pause(pause);
    this.#lifecycle = this.#beginning.lifecycle;
    this.#seq = this.#beginning.seq;
    this.#beginning = undefined;
    this.#describe(`erasure has to wait: ${messageOf(failure)}`);
  }

  #pause(first: number): void {
    // Whoever said meanwhile that what was waited for may have come is believed.
    this.#notBefore = this.#woken ? 0 : Date.now() + Math.min(first * 2 ** this.#setbacks, longestPause);
    this.#setbacks += 1;
  }

  /** What no hold protected is gone: the rest waits for its holds (R9). */
  async #spare(datasets: readonly string[]): Promise<void> {
    this.#setbacks = 0;
    const step = this.#decideBySystem({ name: 'spareHeld', datasets });
    if (step !== undefined) await this.#record(step, { actor: bySystem });
  }

  async #conclude(): Promise<void> {
    const step = this.#decideBySystem({ name: 'completeErasure' });
    if (step === undefined) return;
    const scope = new CancellationScope();
    const concluding = scope.run(() =>
      concludeErasure.executeWithOptions(
        { summary: `Search for remains of account ${this.#input.account}, then record its erasure` },
        [{ step: this.#stepRecord(step, { actor: bySystem }) }],
      ),
    );
    const progress = { ended: false };
    const end = () => {
      progress.ended = true;
    };
    concluding.then(end, end);
    // The search may take long, or wait for a storage that is away: a hold does not wait for it (R9).
    await condition(() => progress.ended || this.#inbox.some(({ name }) => name === 'placeHold'));
    const interrupted = !progress.ended;
    if (interrupted) scope.cancel();
    let concluded: ConcludedErasure;
    try {
      concluded = await concluding;
    } catch (error) {
      if (interrupted) return;
      if (await this.#adopt(error)) return;
      const pause = pauseAfter(error);
      if (pause === undefined) throw error;
      this.#describe(`erasure is not complete: ${messageOf(error)}`);
      this.#pause(pause);
      return;
    }
    this.#become(step);
    await this.#handOver(concluded);
  }

  // The record

  /** Asks what is recorded, and agrees with it. @returns whether anything was otherwise than this workflow knew */
  async #compare(): Promise<boolean> {
    this.#doubted = false;
    const before = this.#seq;
    await this.#settleBeginning();
    await this.#lookUp('Compare with what is recorded');
    return this.#seq !== before;
  }

  /** Agrees with a record that is at another step. */
  async #reconcile(recorded: number): Promise<void> {
    if (recorded > this.#seq) await this.#catchUp();
    else await this.#giveBack(recorded);
  }

  /**
   * A step with the number of another: the record is ahead. A worker that lost Temporal recorded what this workflow never heard
   * of, or Temporal was restored from before.
   *
   * @returns whether it was that
   */
  async #adopt(error: unknown): Promise<boolean> {
    if (failureTypeOf(error) !== 'SequenceConflictError') return false;
    await this.#catchUp();
    return true;
  }

  /** Becomes what is recorded. Of an erasure, what is left to do is done, and this workflow ends as it would have. */
  async #catchUp(): Promise<void> {
    const { account } = this.#input;
    const summary = 'Another step has this number: see whether the account is erased';
    const erased = await finishErasure.executeWithOptions({ summary }, [{ account }]);
    const course =
      erased ?? (await recordedCourse.executeWithOptions({ summary: 'Adopt what is recorded' }, [{ account }]));
    log.warn('the record is ahead of this workflow, which adopts it', { account, from: this.#seq, to: course.seq });
    this.#beginning = undefined;
    this.#lifecycle = course.lifecycle;
    this.#seq = course.seq;
    this.#notBefore = 0;
    this.#setbacks = 0;
    this.#describe('went on from what was recorded');
    if (erased !== null) await this.#handOver(erased);
  }

  /** The database was restored from before: it is told where the account stands, in a step of its own. */
  async #giveBack(recorded: number): Promise<void> {
    const details = { from: recorded, to: this.#seq };
    const step: Step = { next: this.#lifecycle, action: 'account.record-restored', details };
    const record = { ...this.#stepRecord(step, { actor: bySystem }), after: recorded };
    const summary = recordSummary(record.seq, step.action);
    try {
      await recordStep.executeWithOptions({ summary }, [record]);
    } catch (error) {
      if (await this.#adopt(error)) return;
      throw error;
    }
    this.#become(step);
  }

  /** Starts what outlives the account: telling processors, and keeping what the law demands until its date (R10). */
  async #handOver({ subject, told = [], retained = false }: Partial<ConcludedErasure>): Promise<void> {
    const { account, region } = this.#input;
    const parentClosePolicy = ParentClosePolicy.ABANDON;
    for (const request of told) {
      await this.#begin(processorWorkflowType, {
        workflowId: processorWorkflowId({ region, request }),
        args: [{ request, region }],
        staticSummary: processorSummary({ region, request }),
        parentClosePolicy,
      });
    }
    if (retained) {
      // It goes by the tombstone's id (R22); before there were pseudonyms it went by the account's.
      const name = subject === undefined ? account : `~${subject}`;
      await this.#begin(retainedWorkflowType, {
        workflowId: retainedWorkflowId(region, subject ?? account),
        args: [{ account: name, region }],
        staticSummary: retainedSummary(name, region),
        typedSearchAttributes: [{ key: searchAttributes.accountId, value: name }],
        parentClosePolicy,
      });
    }
  }

  async #begin(type: string, options: ChildWorkflowOptions & { readonly args: unknown[] }): Promise<void> {
    try {
      await startChild(type, options);
    } catch (error) {
      // Begun before, by a run whose history was reset.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  /** Decides what needs nothing from outside: the settings play no part in it. */
  #decideBySystem(command: Command): Step | undefined {
    const decision: Decision = decide(this.#lifecycle, command, {
      account: this.#input.account,
      now: now(),
      actor: bySystem,
      plan: 'standard',
      settings: this.#input.settings,
      datasets: [],
      newId: uuid4,
    });
    return 'step' in decision ? decision.step : undefined;
  }
}

function isUpdate(message: Queued): boolean {
  return message.updateId !== undefined;
}

function now(): Instant {
  return toInstant(Date.now());
}

function answerOf(outcome: Outcome | undefined): Recorded {
  if (outcome === undefined) throw ApplicationFailure.nonRetryable('the message was not answered');
  if ('refused' in outcome) throw refusal(outcome.refused);
  return outcome.recorded;
}

function refusal(refused: Refusal): ApplicationFailure {
  return ApplicationFailure.create({
    type: failureTypes.refused,
    message: refused.detail,
    nonRetryable: true,
    details: [refused],
  });
}

function failureTypeOf(error: unknown): string | undefined {
  if (error instanceof ActivityFailure && error.cause instanceof ApplicationFailure)
    return error.cause.type ?? undefined;
  return undefined;
}

/** How long to wait before asking again, for a failure that asking again can mend. */
function pauseAfter(error: unknown): number | undefined {
  return pauses.get(failureTypeOf(error) ?? '');
}

function messageOf(error: unknown): string {
  if (error instanceof ActivityFailure) return error.cause?.message ?? error.message;
  return error instanceof Error ? error.message : 'unknown';
}
