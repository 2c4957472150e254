/** Finding out with what an OpenDSR processor signs. */
import { exchange, hostOf } from './addresses';
import { assertSpeaksFor, assertTrusted, readCertificates } from './certificates';
import { ProcessorAnswerError } from './errors';
import { readDiscovery } from './opendsr';
import type { ProcessorSettings } from './settings';

/** Where OpenDSR's own paths begin, with the version the specification wants there. */
export function openDsrUrl(base: string, path: string): string {
  return `${base.replace(/\/+$/, '')}/${path}`;
}

/**
 * Reads a processor's certificate where the processor publishes it.
 *
 * @param patience for each of the two questions, in milliseconds
 * @returns in PEM, with those that vouch for it
 * @throws {ProcessorAnswerError} the processor does not say, or does not erase by our ids
 * @throws {TargetRefusedError} it leads where nothing may be asked
 * @throws {CertificateRefusedError} what it publishes proves nothing
 */
export async function discoverCertificate(
  { url, domain }: { readonly url: string; readonly domain: string },
  settings: ProcessorSettings,
  at: Date,
  patience?: number,
): Promise<string> {
  const limits = patience === undefined ? {} : { patience };
  const ask = async (target: string, accept: string) => {
    const answer = await exchange(target, settings, { method: 'GET', headers: { accept }, ...limits });
    if (answer.status !== 200) throw new ProcessorAnswerError(`${new URL(target).pathname}: HTTP ${answer.status}`);
    return answer.body;
  };
  const { certificateUrl } = readDiscovery(await ask(openDsrUrl(url, 'discovery'), 'application/json'));
  if (!URL.canParse(certificateUrl) || hostOf(new URL(certificateUrl)) !== domain) {
    throw new ProcessorAnswerError('processor_certificate does not lead to its own domain');
  }
  const pem = (await ask(certificateUrl, 'application/x-pem-file, */*')).toString();
  const { leaf, chain } = readCertificates(pem);
  assertSpeaksFor(leaf, domain, at);
  assertTrusted(leaf, chain, at, settings.authorities);
  return [leaf, ...chain].map(String).join('');
}
