/** A few lines of HTTP for scripts. */

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

/** Far more than the five seconds in which the API promises an answer, however busy the machine; in milliseconds. */
const patience = 20_000;

/** Calls the API with a key; answers whatever the status. */
export async function call<T>(
  base: string,
  key: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer<T>> {
  const response = await fetch(`${base}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...headers,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(patience),
  });
  const text = await response.text();
  return { status: response.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
}
