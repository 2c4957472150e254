/** R27: addresses and networks as people write them, and which address lies in which. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { matcherOf, readNetwork } from '../src/access';

const canonical = (text: string) => {
  const read = readNetwork(text);
  return 'flaw' in read ? read : read.network.cidr;
};

describe('R27: a network is written one way', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['192.0.2.7/32', '192.0.2.7'],
    ['192.0.2.0/24', '192.0.2.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['2001:db8::1/128', '2001:db8::1'],
    ['2001:db8:0000::/48', '2001:db8::/48'],
    ['::', '::'],
    ['::/0', '::/0'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['::ffff:192.0.2.0/120', '192.0.2.0/24'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
  ])('%s is %s', (text, expected) => {
    expect(canonical(text)).toBe(expected);
  });

  test.each([
    ['192.0.2.7/24', 'the network is 192.0.2.0/24'],
    ['2001:db8::1/64', 'the network is 2001:db8::/64'],
    ['::ffff:192.0.2.7/120', 'the network is 192.0.2.0/24'],
    ['::ffff:0:0/95', 'all of IPv4 and more'],
    ['fe80::1%eth0', 'zone'],
    ['fe80::%1/64', 'zone'],
    ['192.0.2.7:443', 'port'],
    ['[2001:db8::1]:443', 'port'],
    ['[2001:db8::1]', 'brackets'],
    ['010.0.0.1', 'leading zeros'],
    ['10.00.0.1', 'leading zeros'],
    ['10.1', 'no IPv4 address'],
    ['256.0.0.1', 'no IPv4 address'],
    ['2130706433', 'no IPv4 address'],
    ['0x7f.0.0.1', 'no IP address'],
    ['2001:db8:::1', 'no IPv6 address'],
    ['gateway.example.org', 'names are not looked up'],
    ['localhost', 'names are not looked up'],
    ['*', 'no IP address'],
    ['', 'empty'],
    ['/24', 'empty'],
    ['192.0.2.0/', 'whole number'],
    ['192.0.2.0/024', 'whole number'],
    ['192.0.2.0/-1', 'whole number'],
    ['192.0.2.0/255.255.255.0', 'whole number'],
    ['192.0.2.0/33', 'longer than 32'],
    ['2001:db8::/129', 'longer than 128'],
    ['192.0.2.0/24/24', 'more than one /'],
    ['192.0.2.0 /24', 'no IP address'],
  ])('%s is refused by name: %s', (text, flaw) => {
    expect(canonical(text)).toMatchObject({ flaw: expect.stringContaining(flaw) as unknown });
  });
});

describe('R27: an address lies in a list or does not', () => {
  const holds = (list: readonly string[], address: string) =>
    matcherOf(
      list.map((text) => {
        const read = readNetwork(text);
        if ('flaw' in read) throw new Error(read.flaw);
        return read.network;
      }),
    )(address);

  test('at the edges of networks, of those within others, and of both families', () => {
    const list = ['10.0.0.0/8', '10.1.0.0/16', '192.0.2.7', '192.0.2.8/31', '2001:db8::/32'];
    for (const inside of [
      '10.0.0.0',
      '10.255.255.255',
      '10.1.2.3',
      '192.0.2.7',
      '192.0.2.9',
      '::ffff:192.0.2.7',
      '2001:db8::',
      '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff',
    ])
      expect([inside, holds(list, inside)]).toEqual([inside, true]);
    for (const outside of [
      '9.255.255.255',
      '11.0.0.0',
      '192.0.2.6',
      '192.0.2.10',
      '2001:db7:ffff::',
      '2001:db9::',
      '::a00:1',
      'fe80::1%eth0',
      'nonsense',
      '010.0.0.1',
      '',
    ])
      expect([outside, holds(list, outside)]).toEqual([outside, false]);
  });

  test('IPv6 as a whole does not hold IPv4, and the other way round', () => {
    expect(holds(['::/0'], '192.0.2.7')).toBe(false);
    expect(holds(['::/0'], '::ffff:192.0.2.7')).toBe(false);
    expect(holds(['0.0.0.0/0'], '2001:db8::1')).toBe(false);
    expect(holds(['0.0.0.0/0'], '::ffff:192.0.2.7')).toBe(true);
  });

  test('just as going through all of them says', () => {
    const byte = fc.nat(255);
    const address = fc
      .tuple(fc.constantFrom(10, 192), fc.constantFrom(0, 1), byte, byte)
      .map((parts) => parts.join('.'));
    const network = fc.tuple(address, fc.integer({ min: 0, max: 32 }));
    const numberOf = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    const networkOf = ([text, length]: [string, number]) => {
      const size = 2 ** (32 - length);
      const first = Math.floor(numberOf(text) / size) * size;
      const parts = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256);
      return { cidr: `${parts.join('.')}/${length}`, first, last: first + size - 1 };
    };
    fc.assert(
      fc.property(fc.array(network, { maxLength: 30 }), address, (written, asked) => {
        const networks = written.map(networkOf);
        const number = numberOf(asked);
        const expected = networks.some(({ first, last }) => first <= number && number <= last);
        expect(
          holds(
            networks.map(({ cidr }) => cidr),
            asked,
          ),
        ).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });
});
