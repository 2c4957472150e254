/**
 * How far the ledger was compared with a database, kept in that very database: a restore moves it back with the rest, which
 * is how the next comparison finds out what to do (R23).
 */
import type { Connection, mongo } from 'mongoose';
import type { Position } from './ledger';

const positionId = 'ledger';
const collectionName = 'ledgerPosition';

interface PositionDocument extends Position {
  readonly _id: typeof positionId;
  /** A restore was found, and is not dealt with yet. */
  readonly restored?: boolean;
}

/** A database's own position. */
export interface KeptPosition {
  read(): Promise<Position | undefined>;
  write(position: Position): Promise<void>;
  /** Remembers that the database was restored, until {@link dealtWith}. */
  restored(): Promise<void>;
  isRestored(): Promise<boolean>;
  dealtWith(): Promise<void>;
}

export function positionIn(connection: Connection): KeptPosition {
  const collection = (): mongo.Collection<PositionDocument> =>
    connection.getClient().db(connection.name).collection(collectionName);
  const update = (fields: Partial<PositionDocument>) =>
    collection().updateOne({ _id: positionId }, { $set: fields }, { upsert: true });
  return {
    async read() {
      const found = await collection().findOne({ _id: positionId });
      // A restore of a database without one was found, and nothing was compared yet.
      if (found?.hash === undefined) return undefined;
      const { seq, hash, start, end } = found;
      return { seq, hash, start, end };
    },
    async write({ seq, hash, start, end }) {
      await update({ seq, hash, start, end });
    },
    async restored() {
      await update({ restored: true });
    },
    async isRestored() {
      return (await collection().findOne({ _id: positionId }))?.restored === true;
    },
    async dealtWith() {
      await update({ restored: false });
    },
  };
}
