/** Seeing how the system is. */
export { checkHealth } from './health';
export { serveMetrics } from './metrics';
