import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveTimeSkippingServer, startTestServers, type TestServers } from '../../src/embedded';
import { bundleWorkflows } from '../../src/temporal';
import { searchAttributeTypes } from '../../src/workflows';

declare global {
  var ablaufTestServers: TestServers | undefined;
}

/** Real servers for the whole run, and the workflows bundled once. Test files find them in the environment. */
export default async function globalSetup(): Promise<void> {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const servers = await startTestServers({ searchAttributes: searchAttributeTypes, onProgress: say });
  globalThis.ablaufTestServers = servers;
  const timeSkipping = await resolveTimeSkippingServer({ onProgress: say });
  const code = await bundleWorkflows(require.resolve('../../src/workflows/entry'));
  const folder = await mkdtemp(join(tmpdir(), 'ablauf-bundle-'));
  const bundle = join(folder, 'workflows.js');
  await writeFile(bundle, code);
  Object.assign(process.env, {
    ABLAUF_TEST_MONGODB: servers.mongodb.uri,
    ABLAUF_TEST_TEMPORAL: servers.temporal.address,
    ABLAUF_TEST_TIME_SKIPPING: timeSkipping.path,
    ABLAUF_TEST_BUNDLE: bundle,
  });
}
