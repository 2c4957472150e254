/**
 * AWS KMS as far as it concerns us, on the loopback interface, for the real SDK to talk to: AWS JSON 1.1, signed requests,
 * symmetric keys that encrypt with the encryption context as associated data, and errors by their real types. It can be
 * disabled, denied, slowed down, and go away.
 */
import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

// The SDK announces, at each start, which Node.js it will want next year.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

const awsAccount = '111122223333';
const accessKeyId = 'AKIDABLAUFTESTS';

/** A key in it. What is changed here counts from the next request on. */
export interface HeldKey {
  readonly arn: string;
  state: 'Enabled' | 'Disabled' | 'PendingDeletion';
  spec: string;
  usage: string;
  /** Operations nobody may ask for. */
  readonly denied: Set<string>;
}

export interface KeyManagement {
  /** What a process needs to find it and to sign in. */
  readonly environment: Readonly<Record<string, string>>;
  /** Every request that was answered: its operation, the context it named, and how it ended. */
  readonly calls: { readonly operation: string; readonly context: unknown; readonly answer: string }[];
  /** How many requests were under way at once, at most. */
  readonly busiest: () => number;
  makeKey(region?: string): HeldKey;
  /** An alias that leads to a key until it is led elsewhere. */
  alias(name: string, key: HeldKey): string;
  /** The next so many requests are answered with an error of KMS's own. */
  failNext(times: number, type: string, status: number): void;
  /** Takes so long for each request from now on, in milliseconds. */
  delay(time: number): void;
  pause(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

interface Asked {
  readonly KeyId?: string;
  readonly KeySpec?: string;
  readonly CiphertextBlob?: string;
  readonly EncryptionContext?: Readonly<Record<string, string>>;
}

class Refused extends Error {
  constructor(
    readonly type: string,
    readonly status = 400,
    message = `refused as ${type}`,
  ) {
    super(message);
  }
}

export async function startKeyManagement(): Promise<KeyManagement> {
  const keys = new Map<string, HeldKey & { readonly material: Buffer }>();
  const aliases = new Map<string, string>();
  const calls: { operation: string; context: unknown; answer: string }[] = [];
  const failing: { type: string; status: number }[] = [];
  let [time, running, most] = [0, 0, 0];

  function keyNamed(name: string | undefined, operation: string) {
    const alias = aliases.get(name?.replace(/^arn:.*:(?=alias\/)/, '') ?? '');
    const found = [...keys.values()].find(({ arn }) => [alias, name].includes(arn) || arn.endsWith(`/${name ?? ''}`));
    if (found === undefined) throw new Refused('NotFoundException');
    if (found.denied.has(operation)) throw new Refused('AccessDeniedException');
    return found;
  }

  function usable(name: string | undefined, operation: string) {
    const key = keyNamed(name, operation);
    if (key.state === 'Disabled') throw new Refused('DisabledException');
    if (key.state !== 'Enabled') throw new Refused('KMSInvalidStateException', 400, `${key.arn} is ${key.state}`);
    if (key.usage !== 'ENCRYPT_DECRYPT') throw new Refused('InvalidKeyUsageException');
    return key;
  }

  const operations: Readonly<Record<string, (asked: Asked) => object>> = {
    DescribeKey({ KeyId }) {
      const { arn, state, spec, usage } = keyNamed(KeyId, 'DescribeKey');
      const KeyMetadata = { Arn: arn, KeyId: idOf(arn), KeyState: state, KeySpec: spec, KeyUsage: usage };
      return { KeyMetadata };
    },
    GenerateDataKeyWithoutPlaintext({ KeyId, KeySpec, EncryptionContext }) {
      const key = usable(KeyId, 'GenerateDataKeyWithoutPlaintext');
      if (KeySpec !== 'AES_256') throw new Refused('ValidationException');
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key.material, nonce);
      cipher.setAAD(canonical(EncryptionContext));
      const sealed = Buffer.concat([cipher.update(randomBytes(32)), cipher.final(), cipher.getAuthTag()]);
      const blob = Buffer.concat([Buffer.from(idOf(key.arn)), nonce, sealed]);
      return { CiphertextBlob: blob.toString('base64'), KeyId: key.arn };
    },
    Decrypt({ KeyId, CiphertextBlob = '', EncryptionContext }) {
      const key = usable(KeyId, 'Decrypt');
      const blob = Buffer.from(CiphertextBlob, 'base64');
      if (blob.length === 0) throw new Refused('ValidationException');
      const by = blob.subarray(0, 36).toString();
      if (!keys.has(by)) throw new Refused('InvalidCiphertextException');
      if (by !== idOf(key.arn)) throw new Refused('IncorrectKeyException');
      try {
        const decipher = createDecipheriv('aes-256-gcm', key.material, blob.subarray(36, 48));
        decipher.setAAD(canonical(EncryptionContext));
        decipher.setAuthTag(blob.subarray(-16));
        const plain = Buffer.concat([decipher.update(blob.subarray(48, -16)), decipher.final()]);
        return { Plaintext: plain.toString('base64'), KeyId: key.arn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
      } catch {
        throw new Refused('InvalidCiphertextException');
      }
    },
  };

  function answer(operation: string, incoming: IncomingMessage, body: string): object {
    const { authorization = '', 'content-type': type } = incoming.headers;
    if (type !== 'application/x-amz-json-1.1') throw new Refused('SerializationException');
    const scope = new RegExp(
      `^AWS4-HMAC-SHA256 Credential=${accessKeyId}/\\d{8}/[a-z0-9-]+/kms/aws4_request, SignedHeaders=[^,]*host[^,]*, Signature=[0-9a-f]{64}$`,
    );
    if (!scope.test(authorization)) throw new Refused('UnrecognizedClientException');
    const failure = failing.shift();
    if (failure !== undefined) throw new Refused(failure.type, failure.status);
    const handle = operations[operation];
    if (handle === undefined) throw new Refused('UnknownOperationException');
    return handle(JSON.parse(body) as Asked);
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const operation = String(incoming.headers['x-amz-target']).replace('TrentService.', '');
    running += 1;
    most = Math.max(most, running);
    if (time > 0) await new Promise((resolve) => setTimeout(resolve, time));
    running -= 1;
    const context = (JSON.parse(body) as Asked).EncryptionContext;
    const reply = (status: number, content: object, said: string) => {
      calls.push({ operation, context, answer: said });
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': randomUUID() });
      response.end(JSON.stringify(content));
    };
    try {
      reply(200, answer(operation, incoming, body), 'ok');
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      reply(error.status, { __type: error.type, message: error.message }, error.type);
    }
  }

  let server = createServer();
  const run = async (port: number): Promise<number> => {
    server = createServer((incoming, response) => {
      serve(incoming, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const port = await run(0);
  return {
    environment: {
      AWS_ENDPOINT_URL_KMS: `http://127.0.0.1:${port}`,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: 'of-these-tests',
      AWS_REGION: 'eu-central-1',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    },
    calls,
    busiest: () => most,
    makeKey(region = 'eu-central-1') {
      const id = randomUUID();
      const arn = `arn:aws:kms:${region}:${awsAccount}:key/${id}`;
      const [state, spec, usage] = ['Enabled', 'SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'] as const;
      const key = { arn, state, spec, usage, denied: new Set<string>(), material: randomBytes(32) };
      keys.set(id, key);
      return key;
    },
    alias(name, { arn }) {
      aliases.set(`alias/${name}`, arn);
      return `alias/${name}`;
    },
    failNext(times, type, status) {
      for (let n = 0; n < times; n += 1) failing.push({ type, status });
    },
    delay(wanted) {
      time = wanted;
    },
    pause,
    async resume() {
      await run(port);
    },
    stop: pause,
  };
}

function idOf(arn: string): string {
  return arn.slice(arn.lastIndexOf('/') + 1);
}

/** The same bytes for the same context, in whatever order it is given. */
function canonical(context: Readonly<Record<string, string>> = {}): Buffer {
  return Buffer.from(JSON.stringify(Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1))));
}
