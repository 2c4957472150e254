/** Part of the build: bundles the workflows once, so that production workers start fast and all run the same code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

async function main(): Promise<void> {
  const dist = join(__dirname, '..', 'dist');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(dist, 'workflows', 'entry.js'),
    logger: new DefaultLogger('WARN'),
  });
  writeFileSync(join(dist, 'workflow-bundle.js'), code);
}

void main();
