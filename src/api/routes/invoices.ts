/** Invoices, stored by the back office and kept as long as the law says (R10). */
import { z } from 'zod';
import { permissions } from '../../access';
import { findInvoice, invoiceNumberPattern, listInvoices, storeInvoice, type InvoiceOutline } from '../../data';
import { invoiceOutlineShape, invoiceShape } from '../answers/data';
import { answers, pageOf as pageShapeOf } from '../answers/words';
import { pageOf, positionIn } from '../cursors';
import { invalid, notFound, Problem } from '../problems';
import { route, type Call, type Route } from '../route';
import { accountParamsSchema, invoiceParamsSchema, invoiceSchema, noQuerySchema, pageSchema } from '../schemas';
import { openAccount } from '../standing';
import type { Workshop } from '../workshop';
import { write } from '../writes';

type Params = z.output<typeof invoiceParamsSchema>;
type Body = z.output<typeof invoiceSchema>;

export function invoiceRoutes(workshop: Workshop): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/accounts/:id/invoices',
      roles: permissions.readInvoices,
      summary: "Lists an account's invoices, newest first.",
      answers: answers(pageShapeOf(invoiceOutlineShape), 'A page of invoices'),
      params: accountParamsSchema,
      query: pageSchema,
      async handle(call) {
        const { id } = call.params;
        const { limit, cursor } = call.query;
        await openAccount(workshop, call, id);
        const list = `invoices/${id}`;
        const after = positionIn(list, cursor, z.tuple([z.string(), z.string()]));
        const found = await listInvoices(workshop.store, id, {
          limit,
          ...(after === undefined ? {} : { after: { issuedOn: after[0], number: after[1] } }),
        });
        const position = ({ issuedOn, number }: InvoiceOutline) => [issuedOn, number];
        return { status: 200, body: pageOf(found, limit, list, position, (invoice) => invoice) };
      },
    }),
    route({
      method: 'get',
      path: '/v1/accounts/:id/invoices/:number',
      roles: permissions.readInvoices,
      summary: 'Reads an invoice.',
      answers: answers(invoiceShape, 'The invoice', ['ETag']),
      params: invoiceParamsSchema,
      query: noQuerySchema,
      async handle(call) {
        const { id, number } = call.params;
        await openAccount(workshop, call, id);
        const invoice = await findInvoice(workshop.store, id, number);
        if (invoice === undefined) throw notFound('the account has no invoice of this number');
        return { status: 200, body: invoice, version: onlyVersion };
      },
    }),
    route({
      method: 'put',
      path: '/v1/accounts/:id/invoices/:number',
      roles: permissions.storeInvoice,
      summary: 'Stores an invoice. An issued invoice is never changed.',
      answers: {
        200: { description: 'It was stored before, word for word', schema: invoiceOutlineShape, headers: ['ETag'] },
        201: { description: 'It is stored', schema: invoiceOutlineShape, headers: ['ETag', 'Location'] },
      },
      params: invoiceParamsSchema,
      query: noQuerySchema,
      body: invoiceSchema,
      // The document says itself what is wrong with it.
      maxDepth: 512,
      handle: (call) => store(workshop, call),
    }),
  ];
}

/** An issued invoice is never changed. */
const onlyVersion = 1;
const day = 24 * 60 * 60 * 1000;

function store(workshop: Workshop, call: Call<Params, undefined | object, Body>) {
  const { id, number } = call.params;
  const { issuedOn, document } = call.body;
  const now = workshop.clock();
  if (!invoiceNumberPattern.test(number)) {
    throw invalid([{ path: 'number', detail: 'must be 1–64 of A–Z a–z 0–9 . _ / -, a letter or digit first' }]);
  }
  // Where the invoice is written it may be tomorrow already.
  if (issuedOn > new Date(now.getTime() + day).toISOString().slice(0, 10)) {
    throw invalid([{ path: 'issuedOn', detail: 'must not be more than a day in the future' }]);
  }
  return write(workshop, call, async (session) => {
    const account = await openAccount(workshop, call, id, session);
    if (account.erasing !== undefined) throw new Problem('account-erased', 'the account is being erased');
    const body = JSON.stringify(document);
    const { outcome, invoice } = await storeInvoice(
      workshop.store,
      session,
      { account: id, number, issuedOn, body },
      now,
    );
    const version = outcome === 'stored' ? 0 : onlyVersion;
    if (call.ifVersion !== undefined && call.ifVersion !== version) {
      throw new Problem('precondition-failed', `the invoice is at version ${version}, not ${call.ifVersion}`);
    }
    if (outcome === 'differs') {
      throw new Problem('conflict', 'another invoice bears this number, and an issued invoice is never changed');
    }
    const answer = { status: outcome === 'stored' ? 201 : 200, body: invoice, version: onlyVersion };
    if (outcome === 'known') return { answer };
    return {
      answer: { ...answer, headers: { Location: `/v1/accounts/${id}/invoices/${encodeURIComponent(number)}` } },
      entry: { action: 'invoice.stored', account: id, details: { number, issuedOn } },
    };
  });
}
