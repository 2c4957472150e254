/** The deployment's default periods (R7). They bind only periods that begin later. */
import type { z } from 'zod';
import { native } from '../../database';
import { may, permissions } from '../../access';
import { settingsId, type SettingsDocument } from '../../data';
import { parseDuration, periodFlaws, periodNames, type Settings } from '../../lifecycle';
import { settingsShape } from '../answers/administration';
import { answers } from '../answers/words';
import { invalid, Problem } from '../problems';
import { route, type Call, type Route } from '../route';
import { noQuerySchema, settingsSchema } from '../schemas';
import type { Workshop } from '../workshop';
import { write } from '../writes';

type Change = z.output<typeof settingsSchema>;

export function settingsRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/settings/policy',
      roles: permissions.readSettings,
      summary: "Reads the deployment's default periods.",
      answers: answers(settingsShape, 'The periods', ['ETag']),
      query: noQuerySchema,
      async handle() {
        const stored = await native(workshop.store.settings).findOne<SettingsDocument>({ _id: settingsId });
        return answerWith(merged(workshop.settings, stored ?? {}), stored?.version ?? 0);
      },
    }),
    route({
      method: 'put',
      path: '/v1/settings/policy',
      roles: permissions.changeSettings,
      stepUp: 'settings',
      summary: "Replaces the deployment's default periods.",
      answers: answers(settingsShape, 'The periods', ['ETag']),
      query: noQuerySchema,
      body: settingsSchema,
      handle: (call) => change(workshop, call),
    }),
  ];
}

async function change(workshop: Workshop, call: Call<unknown, unknown, Change>) {
  const { store, settings, defaults } = workshop;
  const periods = Object.fromEntries(
    Object.entries(call.body).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
  const flaws = Object.entries(periods).flatMap(([name, length]) => periodFlaws(name, length, settings.minPeriod));
  if (flaws.length > 0) throw invalid(flaws);
  const answer = await write(workshop, call, async (session) => {
    const stored = await native(store.settings).findOne<SettingsDocument>({ _id: settingsId }, { session });
    const current = stored?.version ?? 0;
    if (call.ifVersion !== undefined && call.ifVersion !== current) {
      throw new Problem('precondition-failed', `the settings are at version ${current}, not ${call.ifVersion}`);
    }
    const before = merged(settings, stored ?? {});
    const after = merged(settings, periods);
    const shortened = periodNames.some((name) => parseDuration(after[name]) < parseDuration(before[name]));
    if (shortened && !may(call.principal.role, 'shortenPeriods')) {
      throw new Problem('forbidden', 'shortening a period needs an administrator (R7)');
    }
    const version = current + 1;
    await native(store.settings).replaceOne({ _id: settingsId }, { ...periods, version }, { session, upsert: true });
    return { answer: answerWith(after, version), entry: { action: 'settings.changed', details: { before, after } } };
  });
  defaults.invalidate();
  return answer;
}

type Periods = Pick<Settings, 'gracePeriod' | 'expiryPeriod'>;

function merged(configured: Settings, own: Partial<Periods>): Periods {
  return {
    gracePeriod: own.gracePeriod ?? configured.gracePeriod,
    expiryPeriod: own.expiryPeriod ?? configured.expiryPeriod,
  };
}

function answerWith(body: Periods, version: number) {
  return { status: 200, body, version };
}
