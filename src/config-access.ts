/** Configuring who gets in, and from where (R27). */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';

const networks = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((network) => network.trim())
      .filter((network) => network !== ''),
  )
  .refine(
    (list) => list.every((network) => ipaddr.isValidCIDR(network) || ipaddr.isValid(network)),
    'must be IP addresses or networks such as 10.0.0.0/8, separated by commas',
  )
  .refine(
    (list) => !list.some((network) => network.endsWith('/0')),
    'must not name every address: anybody could say that they come from anywhere',
  );

/** The variables, with their documentation. */
export const accessVariables = {
  ABLAUF_TRUSTED_PROXIES: networks
    .default([])
    .describe(
      'Addresses or networks of the proxies in front, separated by commas: whose `X-Forwarded-For` is believed; nobody when absent (R27)',
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
