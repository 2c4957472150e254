// The closing line of .ci/run, from jest's own result: node .ci/count.mjs RESULT.json JEST_EXIT_CODE
import { readFileSync } from 'node:fs';

const [, , file, code] = process.argv;

function read() {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // No result at all is not "0 failed": jest itself did not get to the end.
    console.error('jest left no result to count');
    return { numPassedTests: 0, numFailedTests: 1, success: false };
  }
}

const result = read();
// A file that cannot even be loaded has no tests to fail; it counts as one, or a broken suite would read as a clean one.
const failed = result.numFailedTests + (result.numRuntimeErrorTestSuites ?? 0);
const skipped = (result.numPendingTests ?? 0) + (result.numTodoTests ?? 0);
const clean = result.success && failed === 0 && code === '0';

// Set before the last line, so that nothing is printed after it whatever the outcome.
process.exitCode = clean ? 0 : 1;
console.log(`${result.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
