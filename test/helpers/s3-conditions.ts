/**
 * An object storage that heeds `If-None-Match: *`, as Amazon's does: the one of `s3.ts` does not know the condition. Writes
 * of one key come one after the other.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'node:http';
import { startObjectStorage, type ObjectStorage } from './s3';

export type ConditionalStorage = Omit<ObjectStorage, 'pause' | 'resume'>;

const taken =
  '<?xml version="1.0"?><Error><Code>PreconditionFailed</Code><Message>There is such an object.</Message></Error>';

export async function startConditionalStorage(): Promise<ConditionalStorage> {
  const inner = await startObjectStorage();
  const target = new URL(inner.options.endpoint ?? '');
  /** The last write of each key. */
  const writing = new Map<string, Promise<unknown>>();

  function ask(method: string, path: string, headers: IncomingMessage['headers'], body: Buffer) {
    return new Promise<{ status: number; headers: IncomingMessage['headers']; body: Buffer }>((resolve, reject) => {
      const sent = request({ host: target.hostname, port: target.port, method, path, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const { method = 'GET', url = '/', headers } = incoming;
    const [path = '/'] = url.split('?');
    const conditional = method === 'PUT' && headers['if-none-match'] === '*';
    const { 'if-none-match': _condition, ...rest } = headers;
    const forward = () => ask(method, url, conditional ? rest : headers, Buffer.concat(chunks));
    const answer = conditional
      ? await inTurn(path, async () => {
          // Who asks is checked by whoever is forwarded to; that an object is there tells nothing here.
          const there = await fetch(new URL(path, target), { method: 'HEAD' });
          if (there.status !== 404) return { status: 412, headers: {}, body: Buffer.from(taken) };
          return forward();
        })
      : await forward();
    response.writeHead(answer.status, answer.headers);
    response.end(method === 'HEAD' ? undefined : answer.body);
  }

  function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (writing.get(key) ?? Promise.resolve()).then(work, work);
    writing.set(key, turn);
    return turn;
  }

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    options: { ...inner.options, endpoint: `http://127.0.0.1:${port}` },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await inner.stop();
    },
  };
}
