/** What an account's life costs in Temporal's history, counted on the server that skips time. */
import { ingest } from '../src/data';
import { liteLlmCall } from '../scripts/support/traffic';
import { startTimeSkippingSystem, workflowIdOf, region, type System } from '../test/helpers/system';
import { repeats, type Benchmark } from './harness';

const day = 86_400_000;
/** Days: grace and expiry period, with room for the spread of wake-ups. */
const wholeLife = 46;

export const life: Benchmark = {
  name: 'life',
  async run(ground, say) {
    Object.assign(process.env, {
      ABLAUF_TEST_MONGODB: ground.mongodbUri,
      ABLAUF_TEST_TIME_SKIPPING: ground.timeSkippingServer,
      ABLAUF_TEST_BUNDLE: ground.bundle,
    });
    const system = await startTimeSkippingSystem();
    try {
      const lives: number[] = [];
      const perDay: number[] = [];
      for (let turn = 0; turn < repeats; turn += 1) {
        const active = await system.createAccount();
        const held = await system.createAccount();
        await system.send(held, 'placeHold', { reason: 'so that it stays' });
        const before = await Promise.all([active, held].map((id) => eventsOf(system, id)));
        lives.push(await liveAndDie(system));
        const after = await Promise.all([active, held].map((id) => eventsOf(system, id)));
        perDay.push(Math.max(...after.map((events, index) => (events - (before[index] ?? 0)) / wholeLife)));
        say(`a life of ${lives.at(-1) ?? 0} events`);
      }
      return [
        {
          name: 'A life: created, suspended, expired, erased',
          values: lives,
          unit: 'events',
          target: { atMost: 60 },
          judgedBy: 'worst',
        },
        { name: 'A sleeping account, a day', values: perDay, unit: 'events', target: { atMost: 0 }, judgedBy: 'worst' },
      ];
    } finally {
      await system.stop();
    }
  },
};

async function liveAndDie(system: System): Promise<number> {
  const account = await system.createAccount();
  const at = (await system.now()).getTime();
  await ingest(
    system.store,
    Array.from({ length: 50 }, () => liteLlmCall({ account, at })),
    [['metadata', 'user_api_key_org_id']],
  );
  await system.send(account, 'suspend', { reason: 'non_payment' });
  await system.sleep(wholeLife * day);
  for (let patience = 0; (await system.account(account)).state !== 'erased'; patience += 1) {
    if (patience === 50) throw new Error('the account was not erased in time');
    await system.sleep(60_000);
  }
  return eventsOf(system, account);
}

async function eventsOf(system: System, account: string): Promise<number> {
  const { events } = await system.client.workflow.getHandle(workflowIdOf(region, account)).fetchHistory();
  return events?.length ?? 0;
}
