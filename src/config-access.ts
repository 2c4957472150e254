/** Configuring who gets in, and from where (R27). */
import { z } from 'zod';
import { readNetwork } from './access';

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

/** The variables, with their documentation. */
export const accessVariables = {
  ABLAUF_TRUSTED_PROXIES: networks
    .default([])
    .describe(
      'Addresses or networks of the proxies in front, separated by commas: whose `X-Forwarded-For` and `X-Forwarded-Proto` are ' +
        'believed; nobody when absent (R27)',
    ),
} as const;

/** Who gets in, and from where. */
export interface AccessConfig {
  readonly trustedProxies: readonly string[];
}

/** The configuration, from variables that are checked. */
export function accessConfig(values: { readonly ABLAUF_TRUSTED_PROXIES: readonly string[] }): AccessConfig {
  return { trustedProxies: values.ABLAUF_TRUSTED_PROXIES };
}
