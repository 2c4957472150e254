/** The audit log in the words of a SIEM. */
export { toCloudEvent } from './cloud-event';
