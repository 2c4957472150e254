/** The register as it is stored. What each field holds is declared in the data map. */
import { Schema, type Connection, type Model } from 'mongoose';
import type { Sealed } from '../data';
import type { Contact, ProviderFacts, RecordedDisclosure } from './provider';

/** An entry of the register. */
export interface ProviderDocument {
  readonly _id: string;
  /** Unique among those that are not removed. */
  readonly name: string;
  readonly facts: ProviderFacts;
  /** Under the staff's key, like the notes; both go when the entry is removed. */
  readonly contact?: Sealed<Contact>;
  readonly notes?: Sealed<string>;
  readonly disclosure?: RecordedDisclosure;
  readonly nextReview?: string;
  readonly draft?: true;
  /** Counts what administrators changed; the API's `ETag`. */
  readonly version: number;
  /** Counts its entries in the audit log: their ids follow from it; see `history.ts`. */
  readonly acts: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly removedAt?: Date;
  /** What whoever is on call was told of it, and has not been told to be over. */
  readonly alarm?: Alarm;
}

/** An alarm that stands. */
export interface Alarm {
  readonly status: 'missing' | 'overdue';
  readonly since: Date;
  /** When it was last said. */
  readonly alertedAt: Date;
}

export const providersCollection = 'providers';

const schema = new Schema<ProviderDocument>(
  {
    _id: { type: String, required: true },
    name: { type: String, required: true },
    facts: { type: Schema.Types.Mixed, required: true },
    contact: Schema.Types.Mixed,
    notes: Schema.Types.Mixed,
    disclosure: Schema.Types.Mixed,
    nextReview: String,
    draft: Boolean,
    version: { type: Number, required: true },
    acts: { type: Number, required: true },
    createdAt: { type: Date, required: true },
    updatedAt: { type: Date, required: true },
    removedAt: Date,
    alarm: Schema.Types.Mixed,
  },
  { collection: providersCollection, versionKey: false, minimize: false, strict: 'throw' },
);

const modelName = 'Provider';

/** The register of a database. Call it before the database is prepared, so that its collection is made. Safe to repeat. */
export function registerProviders(connection: Connection): Model<ProviderDocument> {
  const known = connection.models[modelName] as Model<ProviderDocument> | undefined;
  return known ?? connection.model<ProviderDocument>(modelName, schema);
}
