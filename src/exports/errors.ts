/** What can go wrong with an export, by name. Names travel through Temporal as the failure's type. */

/** There is no such export: its account was erased, and everything known of it with it. Repeating cannot mend it. */
export class ExportGoneError extends Error {
  override readonly name = 'ExportGoneError';
}

/** The export was withdrawn or has ended otherwise: nothing more may be written of it, and nothing read. */
export class ExportEndedError extends Error {
  override readonly name = 'ExportEndedError';
}

/** Nothing could be stored for so long that it is given up. */
export class ExportStuckError extends Error {
  override readonly name = 'ExportStuckError';
}

/** Another attempt has stored this stretch already. Read where it is, and go on from there. */
export class ExportSupersededError extends Error {
  override readonly name = 'ExportSupersededError';
}

/** What the storage gives back is not what was stored. */
export class ArchiveDamagedError extends Error {
  override readonly name = 'ArchiveDamagedError';
}
