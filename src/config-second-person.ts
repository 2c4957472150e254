/** Configuring which acts need a second person; see docs/roles.md. */
import { z } from 'zod';
import { dangerousActs, type DangerousAct } from './access';

/** The variables, with their documentation. */
export const secondPersonVariables = {
  ABLAUF_SECOND_PERSON: z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((act) => act.trim())
        .filter((act) => act !== ''),
    )
    .pipe(z.array(z.enum(dangerousActs, `must be of ${dangerousActs.join(', ')}, separated by commas`)))
    .default([])
    .describe(
      `Acts that need a second person, of \`${dangerousActs.join('`, `')}\`, separated by commas; none when absent`,
    ),
} as const;

/** The acts, from variables that are checked. */
export function secondPersonConfig(values: {
  readonly ABLAUF_SECOND_PERSON: readonly DangerousAct[];
}): readonly DangerousAct[] {
  return [...new Set(values.ABLAUF_SECOND_PERSON)];
}
