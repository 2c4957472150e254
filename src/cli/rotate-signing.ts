/** `ablauf keys rotate --signing`: a new key to sign checkpoints, certificates and the ledger with (R20, R22). */
import { openRotations } from '../temporal';
import { inDeployment, print, say } from './deployment';
import type { KeyRotation } from './rotation';

export const signingRotation: KeyRotation & { readonly flag: string } = {
  flag: '--signing',
  description: 'replace the key that signs checkpoints, certificates and the ledger; those before stay published',
  async run({ json }) {
    await inDeployment(async ({ config: { region, temporal }, client }) => {
      if (json !== true)
        say('A new signing key is made. Every process takes it up within a minute, without a restart.');
      const { before, now } = await openRotations({ client, region, ...temporal }).replaceSigningKey();
      if (json === true) print({ before, now });
      else say(`Signing with ${now}. ${before} stays published: what it signed is checked by it as before.`);
    });
  },
};
