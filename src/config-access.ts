/** Configuring who gets in, and from where (R27). */
import { z } from 'zod';
import { readNetwork } from './access';
import type { LimitSettings } from './api';

/**
 * The widest network that can be somebody's own proxies: `10.0.0.0/8`, and `fc00::/7`. Wider ones, or two halves of everything, would
 * let anybody say that they come from anywhere.
 */
const widest = { 4: 8, 6: 7 } as const;

const networks = z.string().transform((text, context) => {
  const written = text
    .split(',')
    .map((network) => network.trim())
    .filter((network) => network !== '');
  return written.map((network) => {
    const read = readNetwork(network);
    const flaw = 'flaw' in read ? read.flaw : flawOfWidth(read.network.cidr);
    if (flaw !== undefined) context.addIssue({ code: 'custom', message: `${network} ${flaw}` });
    return 'flaw' in read ? network : read.network.cidr;
  });
});

function flawOfWidth(cidr: string): string | undefined {
  const length = /\/(\d+)$/.exec(cidr)?.[1];
  const least = widest[cidr.includes(':') ? 6 : 4];
  if (length === undefined || Number(length) >= least) return undefined;
  return `is wider than /${least}: nobody's proxies are that many, and whoever else is in it could say where they come from`;
}

const rate = z.coerce.number().int().min(0).max(10_000_000);

/** The variables, with their documentation. */
export const accessVariables = {
  ABLAUF_TRUSTED_PROXIES: networks
    .default([])
    .describe(
      'Addresses or networks of the proxies in front, separated by commas: whose `X-Forwarded-For` and `X-Forwarded-Proto` are ' +
        'believed; nobody when absent (R27)',
    ),
  ABLAUF_RATE_LIMIT_KEY: rate
    .default(50_000)
    .describe(
      'Requests a second of one key or person, on average over ten seconds and over all processes; `0`: no limit',
    ),
  ABLAUF_RATE_LIMIT_ADDRESS: rate
    .default(1000)
    .describe('Requests a second without credentials from one address (IPv6: one /64), likewise; `0`: no limit'),
  ABLAUF_RATE_LIMIT_ATTEMPTS: rate
    .default(300)
    .describe('Wrong credentials a minute from one address (IPv6: one /64), over all processes; `0`: no limit'),
} as const;

/** Who gets in, from where, and how often. */
export interface AccessConfig {
  readonly trustedProxies: readonly string[];
  readonly limits: LimitSettings;
}

/** The configuration, from variables that are checked. */
export function accessConfig(values: z.output<z.ZodObject<typeof accessVariables>>): AccessConfig {
  return {
    trustedProxies: values.ABLAUF_TRUSTED_PROXIES,
    limits: {
      key: values.ABLAUF_RATE_LIMIT_KEY,
      address: values.ABLAUF_RATE_LIMIT_ADDRESS,
      attempts: values.ABLAUF_RATE_LIMIT_ATTEMPTS,
    },
  };
}
