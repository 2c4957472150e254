/** Standing in the middle of a connection, to part its ends. */
import { createServer, connect as dial, type AddressInfo, type Server, type Socket } from 'node:net';

export interface Cutter {
  readonly port: number;
  /** Ends every connection, and lets nobody in. */
  cut(): void;
  /** Lets everybody in. */
  mend(): void;
  /** Keeps connections open, and lets nothing through. */
  freeze(): void;
  stop(): Promise<void>;
}

/** Begins to pass on what comes in to a server, until told otherwise. */
export async function startCutter(target: URL): Promise<Cutter> {
  const sockets = new Set<Socket>();
  let open = true;
  const server: Server = createServer((from) => {
    if (!open) {
      from.destroy();
      return;
    }
    const to = dial(Number(target.port), target.hostname);
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      open = false;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      open = true;
    },
    freeze() {
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    async stop() {
      open = false;
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
