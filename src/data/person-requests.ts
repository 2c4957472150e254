/** Requests to erase what one person left behind with an account, as they are stored. */
import { Schema } from 'mongoose';
import type { Category } from './map';

/** One request. It names the person until it is done, and no longer. */
export interface PersonRequestDocument {
  readonly _id: string;
  readonly account: string;
  /** What the records of the person are found by, which is all that is known of them; gone once the request is done. */
  readonly userIndex?: string;
  readonly requestedBy: string;
  readonly requestId: string;
  /** What happened before this instant is erased. */
  readonly at: Date;
  /** `partly`: what is left is under a hold, and goes once that is released. */
  readonly status: 'running' | 'partly' | 'erased';
  /** Records erased so far, by data set. */
  readonly erased: Readonly<Partial<Record<Category, number>>>;
  /** The data sets of which a hold keeps something. */
  readonly held?: readonly string[];
  readonly endedAt?: Date;
}

export const personRequestSchema = new Schema<PersonRequestDocument>(
  {
    _id: { type: String, required: true },
    account: { type: String, required: true },
    userIndex: String,
    requestedBy: { type: String, required: true },
    requestId: { type: String, required: true },
    at: { type: Date, required: true },
    status: { type: String, required: true },
    erased: { type: Schema.Types.Mixed, required: true },
    held: { type: Schema.Types.Mixed },
    endedAt: Date,
  },
  { versionKey: false, minimize: false, strict: 'throw', collection: 'personRequests' },
);
// Whether a request runs for a person already. That no two do is seen to where they are recorded, by the account's document.
personRequestSchema.index({ account: 1, userIndex: 1 });
