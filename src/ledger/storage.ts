/** Where the ledger's lines lie, whichever product keeps them: outside the databases, and outside their backups. */

/** Something that lies in the ledger: a line, or what a crash has left of one. */
export interface Written {
  readonly text: string;
  /** Where it begins, and where the next one does. */
  readonly start: number;
  readonly end: number;
  /** Whether it was written to its end. */
  readonly whole: boolean;
}

/** A place that lines are added to, and nothing is ever taken from. */
export interface LedgerStorage {
  /** What messages call it. */
  readonly name: string;
  /** Reading all of it costs little, so that each start looks through all of it. */
  readonly readAtStart: boolean;
  /** Makes sure that one line can never take another's place. @throws {LedgerError} it could */
  prepare(): Promise<void>;
  /** What lies there from a place on, in its order. Nothing where there is nothing yet. */
  read(from: number): AsyncIterable<Written>;
  /**
   * Tries to add a line where the last one known ends. Somebody else may come first: whoever adds reads on from there
   * to see whether it was added.
   */
  append(text: string, end: number): Promise<void>;
  /** Makes everything that was read durable, whoever wrote it. */
  sync(): Promise<void>;
}
