/** A few lines of HTTP for scripts. */

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

/** Calls the API with a key; answers whatever the status. */
export async function call<T>(base: string, key: string, method: string, path: string, body?: unknown): Promise<Answer<T>> {
  const response = await fetch(`${base}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(15_000),
  });
  const text = await response.text();
  return { status: response.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
}
