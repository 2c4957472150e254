/** Seeing how the system is. */
export { checkHealth } from './health';
