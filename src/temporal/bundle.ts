/** Bundling the workflows, the same way for the build, for development from source, and for tests. */
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { failureConverterPath } from './codec';

/**
 * Bundles the workflows of an entry file, compiled or not.
 *
 * @param entry the path of `workflows/entry`
 * @returns the bundle's code
 */
export async function bundleWorkflows(entry: string): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: entry,
    failureConverterPath,
    logger: new DefaultLogger('WARN'),
  });
  return code;
}
