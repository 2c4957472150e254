/**
 * Encrypting what Temporal stores (R21): each payload, whole, under the vault's key for payloads.
 *
 * 1. What it encoded says so, and which version of which region's key opens it. That is for people; what counts is
 *    authenticated.
 * 2. What it did not encode passes through: histories from before, and messages sent by hand.
 * 3. What it encoded and cannot open is an {@link UnreadablePayloadError}, never a payload: nobody acts on it. That can be
 *    retried, for ever. A workflow or an activity stands still meanwhile, so that a key that comes back, or a history that is
 *    put right, lets it go on.
 * 4. An account's own key is never needed here: a workflow outlives it.
 */
import { METADATA_ENCODING_KEY, type DataConverter, type Payload, type PayloadCodec } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { UnreadableValueError, type Cipher, type Vault } from '../vault';

/**
 * A payload that was encrypted here does not open: it was altered, or belongs to another region, or its key is not known. Says
 * nothing of what it holds. Retrying is safe, and helps once the cause is gone.
 */
export class UnreadablePayloadError extends Error {
  override readonly name = 'UnreadablePayloadError';
}

const encoding = 'binary/encrypted';
const keyIdField = 'encryption-key-id';
const keyIdShape = /^([^/]+)\/system\/payloads\/\d+$/;
const place = { collection: 'temporal', field: 'payload' } as const;
const text = new TextDecoder();
const { Payload: PayloadMessage } = temporal.api.common.v1;

/** The codec of one region's payloads. */
export function createPayloadCodec(vault: Vault): PayloadCodec {
  return {
    async encode(payloads) {
      const cipher = await vault.systemCipher('payloads');
      return payloads.map((payload) => encode(payload, cipher, vault.region));
    },
    async decode(payloads) {
      // Most of what is asked of a worker was encoded here; what was not needs no key.
      if (!payloads.some(isEncoded)) return payloads;
      const cipher = await vault.systemCipher('payloads');
      return payloads.map((payload) => {
        const region = regionOf(payload);
        if (region === undefined) return payload;
        if (region !== vault.region) throw new UnreadablePayloadError(`a payload belongs to ${region} (R25)`);
        return decode(payload, cipher);
      });
    },
  };
}

/** How clients, workers and replays convert: what is encoded by one has to be decoded by each of the others. */
export function dataConverterOf(vault: Vault): DataConverter {
  return { payloadCodecs: [createPayloadCodec(vault)], failureConverterPath };
}

/** Where {@link dataConverterOf} and the workflows' bundle find the failure converter. */
export const failureConverterPath = require.resolve('./failure-converter');

function encode(payload: Payload, cipher: Cipher, region: string): Payload {
  return {
    metadata: {
      [METADATA_ENCODING_KEY]: Buffer.from(encoding),
      [keyIdField]: Buffer.from(`${region}/system/payloads/${cipher.version}`),
    },
    data: cipher.seal(PayloadMessage.encode(payload).finish(), place),
  };
}

function decode({ data }: Payload, cipher: Cipher): Payload {
  try {
    return PayloadMessage.decode(cipher.open(data ?? new Uint8Array(), place) as Buffer);
  } catch (error) {
    if (!(error instanceof UnreadableValueError)) throw error;
    throw new UnreadablePayloadError(`a payload does not open: ${error.message}`, { cause: error });
  }
}

/** Whether a payload says that it was encoded here. */
export function isEncoded(payload: Payload): boolean {
  return regionOf(payload) !== undefined;
}

/** The region whose key encoded a payload; none where it was not encoded here. */
function regionOf({ metadata }: Payload): string | undefined {
  if (text.decode(metadata?.[METADATA_ENCODING_KEY]) !== encoding) return undefined;
  return keyIdShape.exec(text.decode(metadata?.[keyIdField]))?.[1];
}
