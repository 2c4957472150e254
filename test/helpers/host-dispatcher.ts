/**
 * Lends a test what Node's own `fetch` sends by: `oidc-provider` looks for it among the globals, of which jest gives each test a set
 * of its own, and warns where it finds none.
 */
import { runInThisContext } from 'node:vm';

for (const version of [1, 2]) {
  const name = `undici.globalDispatcher.${version}`;
  // Naming `Response` loads it.
  const value: unknown = runInThisContext(`Response; globalThis[Symbol.for('${name}')]`);
  if (value !== undefined) Object.defineProperty(globalThis, Symbol.for(name), { value, configurable: true });
}
