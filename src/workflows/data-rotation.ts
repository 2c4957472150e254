/*
 * New versions of data keys (R21), and encrypting under them what was encrypted before.
 *
 * 1. A version is added, and only once every process knows it is anything encrypted under it; see `vault/data-keys.ts`. In
 *    between, and after, everything goes on.
 * 2. It may be killed, or cancelled, at any moment: what was added and is not used yet harms nothing, and what is encrypted
 *    under an older version stays readable, for good.
 * 3. It waits once more before it re-encrypts, until nobody encrypts under the version before any more. Then it looks, in
 *    what is stored, how much is under an older version still, and says so.
 * 4. Each step may be repeated: a version carries the rotation's id, what is under the newest one is left alone, and what is
 *    put on record is so once.
 */
import {
  makeContinueAsNewFunc,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, ReencryptTally, WalkPosition } from '../activities';
import {
  dataRotationProgressQuery,
  type DataRotationInput,
  type DataRotationOutcome,
  type DataRotationProgress,
} from './data-rotation-input';

const { beginDataRotation, addKeyVersions, useKeyVersions, settlingTime, reencryptData, concludeDataRotation } =
  proxyActivities<Activities>({
    startToCloseTimeout: '1 hour',
    heartbeatTimeout: '10 seconds',
    retry: {
      initialInterval: '1 second',
      backoffCoefficient: 2,
      maximumInterval: '10 seconds',
      nonRetryableErrorTypes: ['WrongRegionError'],
    },
  });

const nothing: ReencryptTally = { accounts: 0, documents: 0, values: 0, unreadable: 0, places: [] };
const namedPlaces = 20;

/** Gives data keys new versions. See the top of this file for what it promises. */
export async function dataRotationWorkflow(input: DataRotationInput): Promise<DataRotationOutcome> {
  return new DataRotation(input).run();
}

class DataRotation {
  readonly #input: DataRotationInput;
  readonly #rotation: string;
  readonly #whose;
  #progress: DataRotationProgress;
  /** The last key seen to, and where the walk goes on, in the present step. */
  #after: string | undefined;
  #next: WalkPosition | undefined;

  constructor(input: DataRotationInput) {
    const { region, account, carried } = input;
    this.#input = input;
    this.#rotation = carried?.rotation ?? uuid4();
    this.#progress = carried?.progress ?? { step: 'adding', keys: 0, used: 0, renewed: nothing, left: nothing };
    this.#after = carried?.after;
    this.#next = carried?.next;
    const scope = { region, ...(account === undefined ? {} : { account }) };
    this.#whose = { ...scope, rotation: this.#rotation };
    setHandler(dataRotationProgressQuery, () => this.#progress);
  }

  async run(): Promise<DataRotationOutcome> {
    const reencrypts = this.#input.reencrypts === true;
    if (this.#input.carried === undefined) {
      const summary = 'Put on record that it begins';
      await beginDataRotation.executeWithOptions({ summary }, [{ ...this.#whose, reencrypts }]);
    }
    if (this.#progress.step === 'adding') {
      const wait = await this.#add();
      this.#show({ step: 'waiting' });
      if (wait > 0) await sleep(wait, { summary: 'Until every process knows the new versions' });
      this.#show({ step: 'using' });
    }
    if (this.#progress.step === 'using') {
      await this.#use();
      this.#show({ step: 'settling' });
      if (reencrypts) {
        const wait = await settlingTime.executeWithOptions({ summary: 'Ask how long keys are kept in memory' }, []);
        await sleep(Math.max(1, wait), { summary: 'Until nobody encrypts under the versions before' });
        this.#show({ step: 're-encrypting' });
      }
    }
    if (this.#progress.step === 're-encrypting') {
      await this.#walk('Encrypt anew', {}, 'renewed');
      this.#show({ step: 'checking' });
    }
    if (this.#progress.step === 'checking') {
      await this.#walk('Look what is under an older version', { onlyLook: true }, 'left');
    }
    return this.#conclude(reencrypts);
  }

  /** @returns how long to wait before the versions may be used, in milliseconds */
  async #add(): Promise<number> {
    let waitFor = 0;
    do {
      const summary = `Add versions, ${this.#progress.keys} so far`;
      const report = await addKeyVersions.executeWithOptions({ summary }, [{ ...this.#whose, ...this.#place() }]);
      waitFor = Math.max(waitFor, report.waitFor);
      this.#after = report.after;
      this.#show({ keys: this.#progress.keys + report.changed + report.known });
      await this.#rollOver();
    } while (this.#after !== undefined);
    return waitFor;
  }

  async #use(): Promise<void> {
    for (;;) {
      const summary = `Use them, ${this.#progress.used} so far`;
      const report = await useKeyVersions.executeWithOptions({ summary }, [{ ...this.#whose, ...this.#place() }]);
      if (report.waitFor > 0) {
        await sleep(report.waitFor, { summary: 'Until every process knows the youngest of them' });
        continue;
      }
      this.#after = report.after;
      this.#show({ used: this.#progress.used + report.changed + report.known });
      if (this.#after === undefined) return;
      await this.#rollOver();
    }
  }

  async #walk(doing: string, how: { readonly onlyLook?: true }, field: 'renewed' | 'left'): Promise<void> {
    const { region, account } = this.#input;
    do {
      const { documents, values } = this.#progress[field];
      const summary = `${doing}: ${documents} documents looked at, ${values} values`;
      const { tally, next } = await reencryptData.executeWithOptions({ summary }, [
        {
          region,
          ...(account === undefined ? {} : { account }),
          ...how,
          ...(this.#next === undefined ? {} : { from: this.#next }),
        },
      ]);
      this.#next = next;
      this.#show({ [field]: joined(this.#progress[field], tally) });
      await this.#rollOver();
    } while (this.#next !== undefined);
  }

  async #conclude(reencrypted: boolean): Promise<DataRotationOutcome> {
    const { keys, used, renewed, left } = this.#progress;
    const counts = {
      keys,
      ...(reencrypted
        ? {
            accounts: renewed.accounts,
            documents: renewed.documents,
            values: renewed.values,
            left: left.values,
            unreadable: left.unreadable,
          }
        : {}),
    };
    const summary = 'Put on record what came of it';
    await concludeDataRotation.executeWithOptions({ summary }, [{ ...this.#whose, counts }]);
    this.#show({ step: 'ended' });
    const complete = left.values === 0 && left.unreadable === 0;
    return { rotation: this.#rotation, reencrypted, complete, keys, used, renewed, left };
  }

  #place(): { after?: string } {
    return this.#after === undefined ? {} : { after: this.#after };
  }

  #show(news: Partial<DataRotationProgress>): void {
    this.#progress = { ...this.#progress, ...news };
    setCurrentDetails(details(this.#progress));
  }

  /** Only between two stretches of one step: what comes after is in the state then. */
  async #rollOver(): Promise<void> {
    if (!workflowInfo().continueAsNewSuggested) return;
    if (this.#after === undefined && this.#next === undefined) return;
    const { region, account, reencrypts } = this.#input;
    await makeContinueAsNewFunc<typeof dataRotationWorkflow>()({
      region,
      ...(account === undefined ? {} : { account }),
      ...(reencrypts === undefined ? {} : { reencrypts }),
      carried: {
        rotation: this.#rotation,
        progress: this.#progress,
        ...this.#place(),
        ...(this.#next === undefined ? {} : { next: this.#next }),
      },
    });
  }
}

function joined(a: ReencryptTally, b: ReencryptTally): ReencryptTally {
  return {
    accounts: a.accounts + b.accounts,
    documents: a.documents + b.documents,
    values: a.values + b.values,
    unreadable: a.unreadable + b.unreadable,
    places: [...a.places, ...b.places].slice(0, namedPlaces),
  };
}

function details({ step, keys, used, renewed, left }: DataRotationProgress): string {
  const lines = [`**${step}** · ${keys} keys have a new version, ${used} use it`];
  if (renewed.documents > 0) {
    lines.push(
      `- re-encrypted: ${renewed.values} values in ${renewed.documents} documents of ${renewed.accounts} accounts`,
    );
  }
  if (left.documents > 0) lines.push(`- looked at again: ${left.documents} documents, ${left.values} values left`);
  const unreadable = Math.max(renewed.unreadable, left.unreadable);
  if (unreadable > 0) lines.push(`- **${unreadable} values do not open**; they stay as they are`);
  return lines.join('\n');
}
