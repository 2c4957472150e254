import { randomInt } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { EmbeddedServerError } from './errors';

/** Below what any system gives to outgoing connections, one of which might take a port in the moment between. */
const firstPort = 15_000;
const lastPort = 32_000;
const attempts = 100;

/** A port that nothing listened on a moment ago. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const port = randomInt(firstPort, lastPort);
    if (await canListen(port, host)) return port;
  }
  throw new EmbeddedServerError('port-busy', `No port of ${host} can be listened on`);
}

/**
 * Makes sure that a port can be listened on. `variable` is the environment variable that would change it.
 *
 * @throws EmbeddedServerError `port-busy`
 */
export async function requireFreePort(port: number, variable: string, host = '127.0.0.1'): Promise<void> {
  // Both are asked: some systems let a second listener bind beside one that listens on every address.
  if ((await answers(port, host)) || !(await canListen(port, host))) {
    throw new EmbeddedServerError('port-busy', `Port ${port} is in use: stop what listens on it, or set ${variable}`);
  }
}

function answers(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: host === '0.0.0.0' ? '127.0.0.1' : host });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(500, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
