/** A real object storage on the loopback interface, that can go away and come back. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import S3rver from 's3rver';
import type { S3Options } from '../../src/object-storage';

// The SDK announces, at each start, which Node.js it will want next year.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

export interface ObjectStorage {
  readonly options: S3Options;
  /** Goes away; what it stored stays. */
  pause(): Promise<void>;
  /** Comes back, on the same port. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

export async function startObjectStorage(): Promise<ObjectStorage> {
  const directory = await mkdtemp(join(tmpdir(), 'ablauf-s3-'));
  const bucket = 'exports';
  const run = async (port: number) => {
    const server = new S3rver({
      address: '127.0.0.1',
      port,
      silent: true,
      directory,
      configureBuckets: [{ name: bucket, configs: [] }],
    });
    const { port: taken } = await server.run();
    return { server, port: taken };
  };
  let { server, port } = await run(0);
  return {
    options: {
      bucket,
      endpoint: `http://127.0.0.1:${port}`,
      prefix: 'ablauf/',
      // What this server calls its only user.
      accessKeyId: 'S3RVER',
      secretAccessKey: 'S3RVER',
    },
    async pause() {
      await server.close();
    },
    async resume() {
      ({ server, port } = await run(port));
    },
    async stop() {
      await server.close().catch(() => undefined);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
