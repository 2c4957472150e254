/**
 * The remote codec (R21): what Temporal's Web UI and command line ask to show the payloads Temporal stores encrypted, and to
 * encrypt what is typed in. In their words: JSON of payloads, everything in base64.
 */
import type { Payload } from '@temporalio/common';
import { z } from 'zod';
import { permissions } from '../../access';
import { createPayloadCodec, isEncoded, UnreadablePayloadError } from '../../temporal';
import { payloadsShape } from '../answers/administration';
import { answers } from '../answers/words';
import { invalid } from '../problems';
import { route, type Answer, type Route } from '../route';
import { payloadsBodySchema, payloadsSchema } from '../schemas';
import type { Workshop } from '../workshop';

type Payloads = z.output<typeof payloadsSchema>;
type Shown = Payloads['payloads'][number];

/** Parsed once it is known who asks. */
const bodySchema = z.string();

export function codecRoutes(workshop: Workshop): Route[] {
  const codec = createPayloadCodec(workshop.store.vault);
  // The Web UI adds a query of its own, which concerns payloads kept elsewhere. There are none.
  const declared = {
    method: 'post',
    roles: permissions.readPayloads,
    // What is too large for JSON elsewhere is a usual history here.
    text: true,
    body: bodySchema,
    bodyTypes: { 'application/json': payloadsBodySchema },
    idempotent: false,
  } as const;
  return [
    route({
      ...declared,
      path: '/codec/encode',
      summary: "Encrypts payloads, for Temporal's Web UI and command line.",
      operation: 'encodePayloads',
      answers: answers(payloadsShape, 'The payloads, encrypted'),
      async handle({ body }) {
        const asked = payloadsSchema.parse(body);
        return answerOf(asked, await codec.encode(asked.payloads.map(payloadOf)));
      },
    }),
    route({
      ...declared,
      path: '/codec/decode',
      summary: "Opens payloads, for Temporal's Web UI and command line, on record.",
      operation: 'decodePayloads',
      answers: answers(payloadsShape, 'The payloads, opened'),
      async handle(call) {
        const asked = payloadsSchema.parse(call.body);
        const stored = asked.payloads.map(payloadOf);
        const opened = await codec.decode(stored).catch((error: unknown) => {
          throw error instanceof UnreadablePayloadError
            ? invalid([{ path: 'payloads', detail: error.message }])
            : error;
        });
        // Nothing is shown before it is on record.
        if (stored.some(isEncoded)) await workshop.uses.record(call, 'payloads.decoded');
        return answerOf(asked, opened);
      },
    }),
  ];
}

function payloadOf({ metadata, data }: Shown): Payload {
  const named = Object.entries(metadata).map(([name, text]) => [name, Buffer.from(text, 'base64')]);
  return { metadata: Object.fromEntries(named) as Record<string, Buffer>, data: Buffer.from(data, 'base64') };
}

/** Members we do not know stay with the payload they came with. */
function answerOf({ payloads }: Payloads, answered: readonly Payload[]): Answer {
  const shown = answered.map(({ metadata, data }, index) => {
    const named = Object.entries(metadata ?? {}).map(([name, bytes]) => [name, base64Of(bytes)]);
    return { ...payloads[index], metadata: Object.fromEntries(named) as Record<string, string>, data: base64Of(data) };
  });
  return { status: 200, body: { payloads: shown } };
}

function base64Of(bytes: Uint8Array | null | undefined): string {
  return Buffer.from(bytes ?? []).toString('base64');
}
