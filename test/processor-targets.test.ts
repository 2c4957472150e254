/** What a processor's address may be (server-side request forgery), and how its answers are bounded. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exchange, isPublicAddress, readTarget } from '../src/processors/addresses';
import { assertSpeaksFor, assertTrusted, readCertificates } from '../src/processors/certificates';
import { verifySignature } from '../src/processors/opendsr';
import { listen } from './helpers/api';
import { domain, newIdentity, startOpenDsrProcessor } from './helpers/processor';

const strict = { allowPrivate: false };
const lenient = { allowPrivate: true };

describe('an address', () => {
  it.each(['93.184.216.34', '8.8.8.8', '172.32.0.1', '2606:2800:220:1:248:1893:25c8:1946', '2a00:1450::1'])(
    '%s is public',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'ff02::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::1',
    'example.org',
    '',
  ])('%s is not', (address) => expect(isPublicAddress(address)).toBe(false));

  it.each([
    'http://example.org/',
    'http://127.0.0.1/',
    'ftp://example.org/',
    'file:///etc/passwd',
    'https://user:secret@example.org/',
    'https://example.org/#part',
    'https://127.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://169.254.169.254/latest/meta-data/',
    // What a browser reads as 127.0.0.1 too.
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'not a url',
  ])('%s is refused where only public ones are allowed', (url) => {
    expect(() => readTarget(url, strict)).toThrow(expect.objectContaining({ name: 'TargetRefusedError' }) as Error);
  });

  it('may be private only where the deployment says so, and unencrypted only on this machine', () => {
    expect(readTarget('https://10.0.0.1/hook', lenient).hostname).toBe('10.0.0.1');
    expect(readTarget('http://127.0.0.1:8080/', lenient).port).toBe('8080');
    expect(readTarget('http://localhost:8080/', lenient).port).toBe('8080');
    for (const url of ['http://10.0.0.1/', 'http://example.org/']) {
      expect(() => readTarget(url, lenient)).toThrow('must begin with https://');
    }
  });

  it('whose name leads to this machine is not called, whatever it is called', async () => {
    await expect(exchange('https://localhost/hook', strict, { method: 'GET' })).rejects.toMatchObject({
      name: 'TargetRefusedError',
      message: 'leads to an address that is not public',
    });
  });
});

describe('an answer', () => {
  async function answered(respond: Parameters<typeof createServer>[1], patience = 5000): Promise<unknown> {
    const server = await listen(createServer(respond));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    try {
      return await exchange(url, lenient, { method: 'POST', body: '{}', patience }).catch((error: unknown) => error);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  it('that redirects is none', async () => {
    const error = await answered((_, response) => response.writeHead(302, { location: 'http://10.0.0.1/' }).end());
    expect(error).toMatchObject({ name: 'ProcessorAnswerError', message: 'answered with a redirect (HTTP 302)' });
  });

  it('that never ends is cut off', async () => {
    const error = await answered((_, response) => {
      const more = () => {
        if (!response.destroyed) response.write('x'.repeat(16_384), more);
      };
      response.writeHead(200);
      more();
    });
    expect(error).toMatchObject({ name: 'ProcessorAnswerError', message: 'the answer is too large' });
  });

  it('that does not come is not waited for, nor one that trickles', async () => {
    expect(await answered(() => undefined, 200)).toMatchObject({ message: 'no answer in time' });
    const trickled = await answered((_, response) => void response.writeHead(200).write('x'), 200);
    expect(trickled).toMatchObject({ message: 'no answer in time' });
  });

  it('comes over TLS only from a server somebody vouches for', async () => {
    const authority = await newIdentity({ authority: true });
    const server = await startOpenDsrProcessor(await newIdentity({ issuer: authority }), true);
    try {
      const ask = (authorities?: readonly string[]) =>
        exchange(`${server.url}/discovery`, authorities === undefined ? lenient : { ...lenient, authorities }, {
          method: 'GET',
        });
      await expect(ask()).rejects.toMatchObject({ name: 'ProcessorAnswerError' });
      expect((await ask([authority.certificate])).status).toBe(200);
    } finally {
      await server.stop();
    }
  });
});

describe('a certificate', () => {
  const now = new Date();

  it('speaks for the domain it was issued for, in its time', async () => {
    const { leaf } = readCertificates((await newIdentity()).certificate);
    assertSpeaksFor(leaf, domain, now);
    expect(() => assertSpeaksFor(leaf, 'example.org', now)).toThrow('was not issued for example.org');
    expect(() => assertSpeaksFor(leaf, domain, new Date(0))).toThrow('is not valid yet');
    expect(() => assertSpeaksFor(leaf, domain, new Date('9000-01-01'))).toThrow('has expired');
  });

  it('is trusted through those that issued it, and through nobody else', async () => {
    const root = await newIdentity({ authority: true, name: 'root' });
    const middle = await newIdentity({ authority: true, name: 'middle', issuer: root });
    const own = await newIdentity({ issuer: middle });
    const { leaf, chain } = readCertificates(own.certificate + middle.certificate);
    assertTrusted(leaf, chain, now, [root.certificate]);
    const refused = 'was not issued by a known authority';
    expect(() => assertTrusted(leaf, [], now, [root.certificate])).toThrow(refused);
    expect(() => assertTrusted(leaf, chain, now)).toThrow(refused);
    // A processor's own certificate vouches for nobody.
    const forged = readCertificates((await newIdentity({ issuer: own })).certificate + own.certificate);
    expect(() => assertTrusted(forged.leaf, [leaf, ...chain], now, [root.certificate])).toThrow(refused);
  });

  it.each(['', 'x', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])('is not %j', (text) => {
    expect(() => readCertificates(text)).toThrow('is not an X.509 certificate in PEM');
  });

  it('that has expired since verifies nothing', async () => {
    const { certificate } = await newIdentity();
    const headers = { 'x-opendsr-processor-domain': domain, 'x-opendsr-signature': 'AAAA' };
    expect(() => verifySignature({ domain, certificate }, headers, Buffer.from('{}'), new Date('9000-01-01'))).toThrow(
      'has expired',
    );
  });
});
