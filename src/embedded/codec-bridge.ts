/**
 * Lets the development server's Web UI open payloads. Its sign-in is switched off, so it has no key to show the API: this
 * stands between the two on the loopback interface, and adds the developer's own. It is for the one page of that Web UI.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface CodecBridgeOptions {
  /** The API, such as `http://127.0.0.1:3000`. */
  readonly api: string;
  readonly key: string;
  /** The Web UI's port. */
  readonly uiPort: number;
}

/** A running bridge. */
export interface CodecBridge {
  /** What the Web UI is told as its codec. */
  readonly url: string;
  stop(): Promise<void>;
}

const largest = 32 * 1024 * 1024;

/** Starts a bridge on a free port. */
export async function startCodecBridge({ api, key, uiPort }: CodecBridgeOptions): Promise<CodecBridge> {
  const origins = [`http://127.0.0.1:${uiPort}`, `http://localhost:${uiPort}`];
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { origin } = request.headers;
    const [, what] = /^\/(encode|decode)(?:\?|$)/.exec(request.url ?? '') ?? [];
    // Any page in the developer's browser can send a request here; only the Web UI's gets anything done.
    if (origin === undefined || !origins.includes(origin) || what === undefined) {
      end(response, 403);
      return;
    }
    response.setHeader('Access-Control-Allow-Origin', origin);
    response.setHeader('Access-Control-Allow-Headers', 'content-type, x-namespace');
    response.setHeader('Access-Control-Allow-Methods', 'POST');
    if (request.method !== 'POST') {
      end(response, request.method === 'OPTIONS' ? 204 : 405);
      return;
    }
    const answered = await fetch(`${api}/codec/${what}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: await bodyOf(request),
    });
    response.setHeader('Content-Type', answered.headers.get('content-type') ?? 'application/json');
    end(response, answered.status, await answered.text());
  }
}

function end(response: ServerResponse, status: number, body?: string): void {
  response.statusCode = status;
  response.end(body);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > largest) throw new Error('the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
