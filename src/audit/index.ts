/** The log nobody can quietly change. */
export { openAuditLog, type AuditEntryDocument, type AuditLog, type NewAuditEntry } from './entries';
