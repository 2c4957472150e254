/** Those who are told when an account is erased, and what they were told. What each field holds is declared in `map.ts`. */
import { Schema, type Connection } from 'mongoose';
import type { Sealed } from './protect';

/** How a processor is spoken to: over OpenDSR 2.0, or by a signed webhook. */
export const processorKinds = ['opendsr', 'webhook'] as const;
export type ProcessorKind = (typeof processorKinds)[number];

/** Somebody who has data of accounts on our behalf. */
export interface ProcessorDocument {
  readonly _id: string;
  /** Unique among those that are not removed. */
  readonly name: string;
  readonly kind: ProcessorKind;
  /** Where requests go: OpenDSR's base, or the webhook's own address. */
  readonly url: string;
  /** OpenDSR: the domain its certificate is issued for. */
  readonly domain?: string;
  /** OpenDSR: what verifies its signatures, in PEM. */
  readonly certificate?: string;
  /** OpenDSR: an administrator gave the certificate, or it was read where the processor publishes it, and may be read anew. */
  readonly certificateFrom?: 'given' | 'discovery';
  /** Webhook: what requests and callbacks are signed with, in the form of Standard Webhooks. */
  readonly secret?: Sealed<string>;
  readonly createdAt: Date;
  readonly createdBy: string;
  /** It is told of no further erasure. What it was told before it still has to answer. */
  readonly removedAt?: Date;
}

/**
 * How far a processor has come with a request, in this order:
 *
 * - `open`: it has not answered
 * - `received`: it has the request, in OpenDSR's words `pending`
 * - `in_progress`: it is at work
 * - `failed`: it never confirmed, and is not asked any more; it may still confirm by itself
 * - `cancelled`: it says that it will not
 * - `completed`: it says that it has erased
 */
export const requestStatuses = ['open', 'received', 'in_progress', 'failed', 'cancelled', 'completed'] as const;
export type RequestStatus = (typeof requestStatuses)[number];

/** Something a processor said of a request, so kept that its signature can be verified later. */
export interface ProcessorReceipt {
  readonly at: Date;
  /** How it came. */
  readonly via: 'response' | 'status' | 'callback';
  readonly status: RequestStatus;
  /** SHA-256 of the bytes that were signed, in hexadecimal. */
  readonly sha256: string;
  /** The signature as it came; absent where a webhook's answer carries none. */
  readonly signature?: string;
  /** The signed bytes, in base64. Left out where they name the account: the digest verifies the signature as well. */
  readonly body?: string;
}

/** One processor told to erase one account. Its `_id` is what OpenDSR calls the `subject_request_id`, a UUID v4. */
export interface ProcessorRequestDocument {
  readonly _id: string;
  /** The account's pseudonym. */
  readonly subject: string;
  /** The account's id, encrypted; until the processor has answered. */
  readonly identity?: Sealed<string>;
  /** The certificate of the erasure, to which receipts are added. */
  readonly certificate: string;
  readonly processor: string;
  readonly kind: ProcessorKind;
  readonly status: RequestStatus;
  readonly at: Date;
  /** How often it was sent. */
  readonly attempts: number;
  readonly lastSentAt?: Date;
  /** Why the last attempt came to nothing. */
  readonly lastError?: string;
  /** When the processor expects to be done, by its own word. */
  readonly expectedBy?: Date;
  readonly escalatedAt?: Date;
  /** When it was last said that it is unanswered. */
  readonly alertedAt?: Date;
  readonly endedAt?: Date;
  readonly receipts: readonly ProcessorReceipt[];
}

const plain = { versionKey: false, minimize: false, strict: 'throw' } as const;

const processorSchema = new Schema<ProcessorDocument>(
  {
    _id: { type: String, required: true },
    name: { type: String, required: true },
    kind: { type: String, required: true },
    url: { type: String, required: true },
    domain: String,
    certificate: String,
    certificateFrom: String,
    secret: Schema.Types.Mixed,
    createdAt: { type: Date, required: true },
    createdBy: { type: String, required: true },
    removedAt: Date,
  },
  { ...plain, collection: 'processors' },
);

const requestSchema = new Schema<ProcessorRequestDocument>(
  {
    _id: { type: String, required: true },
    subject: { type: String, required: true },
    identity: Buffer,
    certificate: { type: String, required: true },
    processor: { type: String, required: true },
    kind: { type: String, required: true },
    status: { type: String, required: true },
    at: { type: Date, required: true },
    attempts: { type: Number, required: true },
    lastSentAt: Date,
    lastError: String,
    expectedBy: Date,
    escalatedAt: Date,
    alertedAt: Date,
    endedAt: Date,
    receipts: { type: Schema.Types.Mixed, required: true },
  },
  { ...plain, collection: 'processorRequests' },
);
requestSchema.index({ processor: 1, at: -1, _id: -1 });
// One request for each processor and erasure, however often its conclusion is tried.
requestSchema.index({ certificate: 1, processor: 1 }, { unique: true });
requestSchema.index({ subject: 1 });
// What is still unanswered is looked for every hour.
requestSchema.index({ status: 1 });

/** The models of a connection. */
export function processorModelsOn(connection: Connection) {
  return {
    processors: connection.model<ProcessorDocument>('Processor', processorSchema),
    processorRequests: connection.model<ProcessorRequestDocument>('ProcessorRequest', requestSchema),
  } as const;
}
