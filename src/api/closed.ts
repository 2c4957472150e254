/** Serving nobody while the process says that it must not, such as after a restore (R23). */
import type { ApiDependencies } from './dependencies';
import { Problem } from './problems';
import type { Reply } from './reply';
import type { Incoming } from './route';

/** What answers all the same: whoever watches over the process has to hear why. */
const open = new Set(['/healthz', '/readyz']);

/** Turns everything away while there is a reason to. */
export function whileClosed({ closed }: Pick<ApiDependencies, 'closed'>) {
  return (request: Incoming, _response: Reply, next: () => void): void => {
    const why = closed?.();
    if (why !== undefined && !open.has(request.path)) throw new Problem('unavailable', why, {}, { 'Retry-After': '5' });
    next();
  };
}
