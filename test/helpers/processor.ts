/** A downstream processor as a test's counterpart: OpenDSR 2.0 over real HTTP, with a certificate of its own. */
import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { generate } from 'selfsigned';
import { listen } from './api';

/** The host processors of tests are reached by. */
export const domain = 'localhost';
/** Tests that skip time come far. */
const years = 200;

/** A certificate and its key, in PEM. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

export interface IdentityOptions {
  readonly name?: string;
  readonly from?: Date;
  readonly until?: Date;
  /** Who issues it; itself where nobody does. */
  readonly issuer?: Identity;
  /** Whether it may issue others. */
  readonly authority?: boolean;
  readonly keyType?: 'rsa' | 'ec';
}

export async function newIdentity(options: IdentityOptions = {}): Promise<Identity> {
  const { name = domain, from = new Date(Date.now() - 60_000), issuer, authority = false, keyType = 'rsa' } = options;
  const until = options.until ?? new Date(Date.now() + years * 365 * 24 * 60 * 60 * 1000);
  const made = await generate([{ name: 'commonName', value: authority ? `authority of ${name}` : name }], {
    keyType,
    keySize: 2048,
    algorithm: 'sha256',
    notBeforeDate: from,
    notAfterDate: until,
    extensions: [
      { name: 'basicConstraints', cA: authority },
      ...(authority ? [] : [{ name: 'subjectAltName' as const, altNames: [{ type: 2 as const, value: name }] }]),
    ],
    ...(issuer === undefined ? {} : { ca: { key: issuer.key, cert: issuer.certificate } }),
  });
  return { certificate: made.cert, key: made.private };
}

/** What came to a processor. */
export interface Heard {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

type Status = 'pending' | 'in_progress' | 'completed' | 'cancelled';

/** An OpenDSR processor, well-behaved until it is told otherwise. */
export interface OpenDsrProcessor {
  readonly url: string;
  readonly certificate: string;
  readonly heard: Heard[];
  /** What it signs with from now on. */
  identity: Identity;
  /** Answers so many requests with this status first. */
  failures: number;
  failure: number;
  /** Says nothing at all, and closes the connection. */
  silent: boolean;
  /** How long it says it will take, in milliseconds. */
  takes: number;
  /** The clock it goes by. */
  now: () => Date;
  /** What its answers are made into after they were signed. */
  tamper: (body: string) => string;
  /** What it says of every request it has. */
  status: Status;
  /** The ids of the requests it has. */
  requests(): string[];
  /** Sends a callback, as it should be but for what is said. */
  callBack(id: string, status: Status, options?: CallbackOptions): Promise<number>;
  stop(): Promise<void>;
}

export interface CallbackOptions {
  readonly identity?: Identity;
  readonly domain?: string;
  readonly tamper?: (body: string) => string;
  /** Sent there instead. */
  readonly to?: string;
  readonly members?: Readonly<Record<string, unknown>>;
  readonly unsigned?: boolean;
}

interface Received {
  readonly subject_request_id: string;
  readonly status_callback_urls: readonly string[];
}

function keyOf({ key }: Identity): KeyObject {
  return createPrivateKey(key);
}

/** @param secure whether to speak TLS, with its own certificate */
export async function startOpenDsrProcessor(identity: Identity, secure = false): Promise<OpenDsrProcessor> {
  const requests = new Map<string, Received>();
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    void respond(request, response);
  };
  const server: Server = await listen(
    secure ? createSecureServer({ key: identity.key, cert: identity.certificate }, answer) : createServer(answer),
  );
  const url = `${secure ? 'https' : 'http'}://${domain}:${(server.address() as AddressInfo).port}/v2`;

  function signedHeaders(body: string, by: Identity, name = domain): Record<string, string> {
    return {
      'content-type': 'application/json',
      'x-opendsr-processor-domain': name,
      'x-opendsr-signature': sign('sha256', Buffer.from(body), keyOf(by)).toString('base64'),
    };
  }

  function state(id: string): Record<string, unknown> {
    return {
      controller_id: 'ablauf-tests',
      expected_completion_time: new Date(processor.now().getTime() + processor.takes).toISOString(),
      subject_request_id: id,
    };
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const body = Buffer.concat(parts).toString();
    const path = request.url ?? '';
    const method = request.method ?? '';
    processor.heard.push({ method, path, headers: request.headers, body });
    if (processor.silent) {
      request.socket.destroy();
      return;
    }
    const say = (status: number, value: unknown) => {
      const text = JSON.stringify(value);
      response.writeHead(status, signedHeaders(text, processor.identity)).end(processor.tamper(text));
    };
    if (path === '/v2/discovery') {
      say(200, {
        api_version: '2.0',
        supported_identities: [{ identity_type: 'controller_customer_id', identity_format: 'raw' }],
        supported_subject_request_types: ['erasure'],
        processor_certificate: `${url}/cert.pem`,
      });
    } else if (path === '/v2/cert.pem') {
      response.writeHead(200).end(processor.identity.certificate);
    } else if (processor.failures > 0) {
      processor.failures -= 1;
      response.writeHead(processor.failure).end();
    } else if (method === 'POST' && path === '/v2/requests') {
      const received = JSON.parse(body) as Received;
      requests.set(received.subject_request_id, received);
      const id = received.subject_request_id;
      const encoded = Buffer.from(body).toString('base64');
      say(201, { ...state(id), received_time: processor.now().toISOString(), encoded_request: encoded });
    } else {
      const id = /^\/v2\/requests\/([^/]+)$/.exec(path)?.[1] ?? '';
      if (requests.has(id)) say(200, { ...state(id), request_status: processor.status, api_version: '2.0' });
      else response.writeHead(404).end();
    }
  }

  const processor: OpenDsrProcessor = {
    url,
    certificate: identity.certificate,
    heard: [],
    identity,
    failures: 0,
    failure: 500,
    silent: false,
    takes: 60 * 60 * 1000,
    now: () => new Date(),
    tamper: (body) => body,
    status: 'pending',
    requests: () => [...requests.keys()],
    async callBack(id, status, options = {}) {
      const target = requests.get(id)?.status_callback_urls[0];
      if (target === undefined) throw new Error('the processor has no such request');
      const body = JSON.stringify({
        ...state(id),
        status_callback_url: target,
        request_status: status,
        ...options.members,
      });
      const headers = signedHeaders(body, options.identity ?? processor.identity, options.domain);
      const response = await fetch(options.to ?? target, {
        method: 'POST',
        headers: options.unsigned === true ? { 'content-type': 'application/json' } : headers,
        body: options.tamper?.(body) ?? body,
      });
      await response.text();
      return response.status;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return processor;
}

/** A target of webhooks that answers as it is told. */
export interface WebhookTarget {
  readonly url: string;
  readonly heard: Heard[];
  answer: { status: number; body?: string; headers?: Readonly<Record<string, string>> };
  stop(): Promise<void>;
}

export async function startWebhookTarget(): Promise<WebhookTarget> {
  const server = await listen(
    createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const { method = '', url: path = '', headers } = request;
        target.heard.push({ method, path, headers, body: Buffer.concat(parts).toString() });
        response.writeHead(target.answer.status, target.answer.headers).end(target.answer.body);
      });
    }),
  );
  const target: WebhookTarget = {
    url: `http://${domain}:${(server.address() as AddressInfo).port}/hook`,
    heard: [],
    answer: { status: 204 },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return target;
}
