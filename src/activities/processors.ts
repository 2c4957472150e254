/** What the workflows of requests to processors ask of the world. */
import { log } from '@temporalio/activity';
import { recordAbandonment, recordEscalation, tellProcessor, type Look, type ProcessorSettings } from '../processors';
import type { ActivityDependencies } from './dependencies';

/** One request to one processor. */
interface Request {
  readonly request: string;
}

const unreachable: ProcessorSettings = { allowPrivate: false };

/** Telling processors, and saying so when they do not answer. */
export function processorActivities({ store, processors = unreachable }: ActivityDependencies) {
  return {
    /** Looks at a request once: asks, tells or tells again; see {@link tellProcessor}. */
    async tellProcessor({ request }: Request): Promise<Look> {
      return tellProcessor({ store, settings: processors, now: await store.databaseTime() }, request);
    },

    /** Says that a request is unanswered: in the audit log once, to whoever is on call each time. */
    async escalateProcessor({ request }: Request): Promise<void> {
      const unanswered = await recordEscalation(store, request, await store.databaseTime());
      if (unanswered === undefined) return;
      const { processor, at, attempts, lastError } = unanswered;
      log.error('a processor has not confirmed an erasure', {
        alert: 'processor-unanswered',
        request,
        processor,
        requestedAt: at.toISOString(),
        attempts,
        lastError,
      });
    },

    /** Records that a processor never confirmed. It may still do so by itself. */
    async abandonProcessor({ request }: Request): Promise<void> {
      const abandoned = await recordAbandonment(store, request, await store.databaseTime());
      if (abandoned === undefined) return;
      const { processor, attempts, lastError } = abandoned;
      log.error('a processor never confirmed an erasure and is not asked any more', {
        alert: 'processor-failed',
        request,
        processor,
        attempts,
        lastError,
      });
    },
  };
}
