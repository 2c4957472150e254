/** Asking a provider something: over TLS, in bounded time, for an answer of bounded size. */
import { isLoopback } from '../transit';

/** As `openid-client` asks. */
export type Fetch = (url: string, options: RequestInit) => Promise<Response>;

/** How long one question may take, in milliseconds. */
const patience = 3000;
/** Documents of providers have a few kilobytes; key sets and persons with many groups have more. */
const mostBytes = 1024 * 1024;

/** @param fetch how the question gets there @default the runtime's own */
export function boundedFetch(fetch: Fetch = globalThis.fetch): Fetch {
  return async (url, options) => {
    const { protocol, hostname } = new URL(url);
    if (protocol !== 'https:' && !isLoopback(hostname)) throw new TypeError('only asked over TLS');
    const signals = [AbortSignal.timeout(patience), ...(options.signal ? [options.signal] : [])];
    // A provider that redirects its endpoints elsewhere is not followed: what is sent may hold the client's secret.
    const response = await fetch(url, { ...options, redirect: 'manual', signal: AbortSignal.any(signals) });
    const { status, statusText, headers } = response;
    return new Response(await bodyOf(response), { status, statusText, headers });
  };
}

async function bodyOf(response: Response): Promise<Buffer<ArrayBuffer> | null> {
  if (response.body === null) return null;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > mostBytes) throw new TypeError(`an answer of more than ${mostBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
