/** The collections with their shapes and indexes. What each field holds is declared in `map.ts`. */
import { Schema, type Connection, type Model } from 'mongoose';
import type {
  AccountDocument,
  AccountDraft,
  CertificateDocument,
  GateDocument,
  InvoiceDocument,
  ReceiptDocument,
  RecordDocument,
  SealedDocument,
  SettingsDocument,
  UsageTotalDocument,
} from './documents';
import { categories, type Category } from './map';
import { personRequestSchema, type PersonRequestDocument } from './person-requests';
import { processorModelsOn } from './processor-models';

const plain = { versionKey: false, minimize: false, strict: 'throw' } as const;

const accountSchema = new Schema<AccountDocument>(
  {
    _id: { type: String, required: true },
    region: { type: String, required: true },
    name: Schema.Types.Mixed,
    email: Schema.Types.Mixed,
    nameIndex: String,
    emailIndex: String,
    plan: String,
    locale: String,
    state: { type: String, required: true },
    since: { type: Date, required: true },
    deadline: { type: new Schema({ action: String, at: Date }, { _id: false }) },
    lifecycle: { type: Schema.Types.Mixed, required: true },
    inactive: { type: Schema.Types.Mixed, required: true },
    erasing: Schema.Types.Mixed,
    reErasing: Schema.Types.Mixed,
    delays: { type: Schema.Types.Mixed },
    heldBack: Schema.Types.Mixed,
    formerly: { type: Schema.Types.Mixed },
    purging: Schema.Types.Mixed,
    listed: Boolean,
    passes: Number,
    lateRefused: Number,
    certificateIds: { type: Schema.Types.Mixed },
    retainedUntil: Date,
    lapsing: Schema.Types.Mixed,
    seq: { type: Number, required: true },
    version: { type: Number, required: true },
    createdAt: { type: Date, required: true },
    erasedAt: Date,
  },
  { ...plain, collection: 'accounts' },
);
// Lists go by id; the other indexes serve their filters: state, plan, what is due, exact name and e-mail.
accountSchema.index({ state: 1, _id: 1 });
accountSchema.index({ 'deadline.at': 1, _id: 1 }, { partialFilterExpression: { 'deadline.at': { $exists: true } } });
accountSchema.index({ plan: 1, _id: 1 });
accountSchema.index({ nameIndex: 1 });
accountSchema.index({ emailIndex: 1 });
accountSchema.index({ retainedUntil: 1 }, { sparse: true });
accountSchema.index({ 'heldBack.since': 1 }, { sparse: true });

/** Drafts whose workflow never began go after a day. A workflow that begins later finds none and gives up. */
const draftLifeSeconds = 24 * 60 * 60;
const draftSchema = new Schema<AccountDraft>(
  {
    _id: { type: String, required: true },
    account: { type: String, required: true },
    name: { type: Schema.Types.Mixed, required: true },
    email: { type: Schema.Types.Mixed, required: true },
    plan: { type: String, required: true },
    locale: { type: String, required: true },
    createdAt: { type: Date, required: true },
  },
  { ...plain, collection: 'accountDrafts' },
);
draftSchema.index({ createdAt: 1 }, { expireAfterSeconds: draftLifeSeconds });
draftSchema.index({ account: 1 });

const gateSchema = new Schema<GateDocument>(
  {
    _id: { type: String, required: true },
    open: { type: Boolean, required: true },
    passed: { type: Number, required: true },
    discarded: Number,
    refused: Number,
    purgeAt: Date,
  },
  { ...plain, collection: 'gates' },
);
// The sweep asks for what is due, oldest first, and reads nothing of those that are not.
gateSchema.index({ purgeAt: 1, _id: 1 }, { partialFilterExpression: { purgeAt: { $exists: true } } });

const settingsSchema = new Schema<SettingsDocument>(
  {
    _id: { type: String, required: true },
    gracePeriod: String,
    expiryPeriod: String,
    version: { type: Number, required: true },
  },
  { ...plain, collection: 'settings' },
);

function recordSchema(collection: Category): Schema<RecordDocument> {
  const schema = new Schema<RecordDocument>(
    {
      _id: { type: String, required: true },
      account: { type: String, required: true },
      callId: { type: String, required: true },
      at: { type: Date, required: true },
      model: String,
      userIndex: String,
      body: { type: Schema.Types.Mixed, required: true },
    },
    { ...plain, collection },
  );
  // Reads go newest first; erasure and purge go by stretches of time.
  schema.index({ account: 1, at: 1, _id: -1 });
  return schema;
}

const totalsSchema = new Schema<UsageTotalDocument>(
  {
    _id: { type: String, required: true },
    account: { type: String, required: true },
    day: { type: String, required: true },
    model: { type: String, required: true },
    requests: { type: Number, required: true },
    promptTokens: { type: Number, required: true },
    completionTokens: { type: Number, required: true },
    costNano: { type: Number, required: true },
  },
  { ...plain, collection: 'usageTotals' },
);
totalsSchema.index({ account: 1, day: 1, model: 1 });

/** A repeat within a week counts once; a day more for those who count their weeks otherwise. */
const receiptSeconds = 8 * 24 * 60 * 60;
const receiptSchema = new Schema<ReceiptDocument>(
  { _id: { type: String, required: true }, at: { type: Date, required: true } },
  { ...plain, collection: 'ingestReceipts' },
);
receiptSchema.index({ at: 1 }, { expireAfterSeconds: receiptSeconds });

const invoiceSchema = new Schema<InvoiceDocument>(
  {
    _id: { type: String, required: true },
    account: { type: String, required: true },
    number: { type: String, required: true },
    issuedOn: { type: String, required: true },
    at: { type: Date, required: true },
    body: { type: Schema.Types.Mixed, required: true },
  },
  { ...plain, collection: 'invoices' },
);
invoiceSchema.index({ account: 1, issuedOn: 1, _id: 1 });

const sealedSchema = new Schema<SealedDocument>(
  {
    _id: { type: String, required: true },
    subject: { type: String, required: true },
    dataset: { type: String, required: true },
    key: { type: String, required: true },
    until: { type: Date, required: true },
    sealedAt: { type: Date, required: true },
    law: { type: String, required: true },
    document: { type: Schema.Types.Mixed, required: true },
  },
  { ...plain, collection: 'sealedRecords' },
);
sealedSchema.index({ subject: 1, until: 1, _id: 1 });

const certificateSchema = new Schema<CertificateDocument>(
  {
    _id: { type: String, required: true },
    kind: { type: String, required: true },
    subject: { type: String, required: true },
    issuedAt: { type: Date, required: true },
    content: { type: Schema.Types.Mixed, required: true },
    entry: String,
    jws: String,
    ledger: Number,
    late: Schema.Types.Mixed,
    addenda: { type: Schema.Types.Mixed, required: true },
  },
  { ...plain, collection: 'certificates' },
);
// What is not in the ledger yet has the number 0 there.
certificateSchema.index({ ledger: 1 }, { sparse: true });

/** The models of a connection. */
export function modelsOn(connection: Connection) {
  return {
    accounts: connection.model<AccountDocument>('Account', accountSchema),
    drafts: connection.model<AccountDraft>('AccountDraft', draftSchema),
    gates: connection.model<GateDocument>('Gate', gateSchema),
    settings: connection.model<SettingsDocument>('Settings', settingsSchema),
    records: Object.fromEntries(
      categories.map((category) => [
        category,
        connection.model<RecordDocument>(`Record_${category}`, recordSchema(category)),
      ]),
    ) as Record<Category, Model<RecordDocument>>,
    totals: connection.model<UsageTotalDocument>('UsageTotal', totalsSchema),
    receipts: connection.model<ReceiptDocument>('Receipt', receiptSchema),
    invoices: connection.model<InvoiceDocument>('Invoice', invoiceSchema),
    sealed: connection.model<SealedDocument>('Sealed', sealedSchema),
    certificates: connection.model<CertificateDocument>('Certificate', certificateSchema),
    personRequests: connection.model<PersonRequestDocument>('PersonRequest', personRequestSchema),
    ...processorModelsOn(connection),
  } as const;
}

export type Models = ReturnType<typeof modelsOn>;
