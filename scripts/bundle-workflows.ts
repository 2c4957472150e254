/** Part of the build: bundles the workflows once, so that production workers start fast and all run the same code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflows } from '../src/temporal';

async function main(): Promise<void> {
  const dist = join(__dirname, '..', 'dist');
  writeFileSync(join(dist, 'workflow-bundle.js'), await bundleWorkflows(join(dist, 'workflows', 'entry.js')));
}

void main();
