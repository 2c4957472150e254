import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningMongodb, startMongodb } from './mongodb';
import { type RunningTemporal, startTemporal, type TemporalOptions } from './temporal';

/** What a test run needs around it. */
export interface TestServers {
  mongodb: RunningMongodb;
  temporal: RunningTemporal;
  /** Stops both and removes their data. */
  stop(): Promise<void>;
}

/**
 * Starts MongoDB and Temporal's development server (in memory, without Web UI) on free ports with temporary folders, for a
 * test run. If the test run is killed they end with it.
 *
 * @throws EmbeddedServerError if one of them cannot be started; then neither runs
 */
export async function startTestServers(
  options: Partial<Pick<TemporalOptions, 'namespace' | 'searchAttributes' | 'extraArgs' | 'onProgress'>> = {},
): Promise<TestServers> {
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-test-'));
  const { onProgress } = options;
  const [mongodb, temporal] = await Promise.allSettled([
    startMongodb({ dataDir: join(folder, 'mongodb'), port: 0, onProgress }),
    startTemporal({ namespace: 'default', searchAttributes: {}, ...options, port: 0 }),
  ]);
  const stop = async (): Promise<void> => {
    await Promise.all(
      [mongodb, temporal].map(async (server) => {
        if (server.status === 'fulfilled') {
          await server.value.stop();
        }
      }),
    );
    await rm(folder, { recursive: true, force: true });
  };
  if (mongodb.status === 'rejected' || temporal.status === 'rejected') {
    await stop();
    throw mongodb.status === 'rejected' ? mongodb.reason : (temporal as PromiseRejectedResult).reason;
  }
  return { mongodb: mongodb.value, temporal: temporal.value, stop };
}
