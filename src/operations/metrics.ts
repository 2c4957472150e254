/** The process's own figures for Prometheus, on a port of their own that customers do not reach. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { collectDefaultMetrics, Registry } from 'prom-client';

/** Serves `GET /metrics`. Fails where the port is taken. */
export async function serveMetrics(host: string, port: number): Promise<Server> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const server = createServer((request, response) => {
    const known = request.url === '/metrics';
    if (!known || request.method !== 'GET') {
      response.writeHead(known ? 405 : 404, known ? { allow: 'GET' } : {}).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}
