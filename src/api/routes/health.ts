/** Whether the process serves, and whether what it needs is there. */
import { readyShape, servesShape } from '../answers/administration';
import { answers } from '../answers/words';
import { Problem } from '../problems';
import { route, type Route } from '../route';
import type { Workshop } from '../workshop';

/** How long the checks may take, in milliseconds. */
const patience = 3000;

export function healthRoutes({ health, log, closed }: Workshop): Route[] {
  let checking: ReturnType<typeof inTime> | undefined;
  /** Anybody may ask, as often as they like: who asks at the same time is answered with the same look. */
  const check = () => (checking ??= inTime(health()).finally(() => (checking = undefined)));
  return [
    route({
      method: 'get',
      path: '/healthz',
      roles: 'public',
      summary: 'Says that the process serves.',
      operation: 'getLiveness',
      answers: answers(servesShape, 'It serves'),
      handle: () => Promise.resolve({ status: 200, body: { status: 'ok' } }),
    }),
    route({
      method: 'get',
      path: '/readyz',
      roles: 'public',
      summary: 'Says whether everything behind it answers.',
      operation: 'getReadiness',
      answers: answers(readyShape, 'Everything answers'),
      async handle() {
        const why = closed?.();
        const found = { ...(await check()), ...(closed === undefined ? {} : { ledger: why ?? 'ok' }) };
        const checks = Object.fromEntries(
          Object.entries(found).map(([part, said]) => [part, said === 'ok' ? 'ok' : 'missing'] as const),
        );
        if (Object.values(checks).every((check) => check === 'ok'))
          return { status: 200, body: { status: 'ok', checks } };
        // What is wrong names hosts and ports, and everybody may ask.
        log.warn({ checks: found }, 'something behind the API does not answer');
        const detail = why ?? 'something this needs does not answer';
        throw new Problem('unavailable', detail, { checks }, { 'Retry-After': '1' });
      },
    }),
  ];
}

const unknown = { mongodb: 'unknown', temporal: 'unknown', worker: 'unknown' };

/** The checks, or that nothing is known when they take too long or fail themselves. */
async function inTime(checks: Promise<Readonly<Record<string, string>>>): Promise<Readonly<Record<string, string>>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof unknown>((resolve) => {
    timer = setTimeout(() => resolve(unknown), patience);
  });
  try {
    return await Promise.race([checks, late]);
  } catch {
    return unknown;
  } finally {
    clearTimeout(timer);
  }
}
