/** An environment variable's value. One that is set to nothing counts as not set: that is how Compose files unset. */
export function setting(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}
