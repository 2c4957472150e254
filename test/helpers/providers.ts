/** Entries for the register of providers. */
export const document = {
  url: 'https://docs.example.org/disclosure.pdf',
  sha256: '0f'.repeat(32),
  date: '2026-02-01',
} as const;

/** A whole entry, checked and disclosed, whose next review is years away. */
export function providerEntry(name: string, change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    name,
    purposes: [{ en: 'managed database', de: 'verwaltete Datenbank' }],
    stores: ['prompts', 'completions', 'profile', 'backups'],
    processes: ['network-traffic'],
    locations: [{ site: 'eu-central-1', place: { en: 'Frankfurt, Germany', de: 'Frankfurt am Main' }, country: 'DE' }],
    encryption: { atRest: 'AES-256 on every volume', inTransit: 'TLS 1.3' },
    accessControl: 'Named engineers, hardware keys, each access logged',
    certifications: [{ name: 'ISO/IEC 27001', until: '2090-05-31' }, { name: 'SOC 2 Type II' }],
    subprocessors: { names: ['Cables & Co'], listedAt: 'https://example.org/subprocessors' },
    deletion: 'within 24 hours',
    backups: 'kept for 7 days',
    contact: { person: 'Petra Muster', email: 'petra@example.org', url: 'https://example.org/trust' },
    disclosure: { askedOn: '2026-01-05', givenOn: '2026-02-03', document },
    nextReview: '2090-02-03',
    notes: 'the discount ends in May',
    ...change,
  };
}
