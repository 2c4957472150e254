/** Which problems a call may be answered with, as it follows from how it is declared. */
import { problemCatalogue, type ProblemCode } from '../problems';
import type { Route } from '../route';

type Declared = Pick<
  Route,
  'method' | 'path' | 'roles' | 'params' | 'query' | 'body' | 'answers' | 'stepUp' | 'act' | 'problems'
>;

/** A rule, and the problems it brings. */
type Rule = readonly [when: (route: Declared) => boolean, problems: readonly ProblemCode[]];

const isWrite = ({ method }: Declared): boolean => method !== 'get';
const hasBody = ({ body }: Declared): boolean => body !== undefined;
const ofAccounts = ({ path }: Declared): boolean => path === '/v1/accounts' || path.startsWith('/v1/accounts/');

const rules: readonly Rule[] = [
  // Not behind TLS, from another address, for another region, too often, at a bad moment: before anything is read.
  [() => true, ['forbidden', 'ip-not-allowed', 'wrong-region', 'rate-limited', 'unavailable', 'internal']],
  [({ roles }) => roles !== 'public', ['unauthenticated']],
  [({ stepUp }) => stepUp !== undefined, ['step-up-required']],
  [({ act, stepUp }) => act !== undefined || stepUp !== undefined, ['approval-required']],
  [(route) => isWrite(route) || hasBody(route) || route.query !== undefined, ['validation']],
  [({ params }) => params !== undefined, ['not-found']],
  [isWrite, ['conflict', 'precondition-failed', 'outcome-unknown']],
  [hasBody, ['request-timeout', 'payload-too-large', 'unsupported-media-type']],
  [ofAccounts, ['account-suspended', 'account-expired', 'account-erased']],
  [({ answers }) => answers[206] !== undefined, ['range-not-satisfiable', 'conflict']],
];

/** The problems a call may be answered with, by status, each status and each code in the catalogue's order. */
export function problemsOf(route: Declared): ReadonlyMap<number, readonly ProblemCode[]> {
  const codes = new Set([
    ...rules.flatMap(([applies, brought]) => (applies(route) ? brought : [])),
    ...(route.problems ?? []),
  ]);
  return byStatus(problemCodes.filter((code) => codes.has(code)));
}

/** Every code there is. */
export const problemCodes = Object.keys(problemCatalogue) as ProblemCode[];

/** Codes by the status they come with, the lowest first. */
export function byStatus(codes: readonly ProblemCode[]): Map<number, ProblemCode[]> {
  const found = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const { status } = problemCatalogue[code];
    found.set(status, [...(found.get(status) ?? []), code]);
  }
  return new Map([...found].sort(([a], [b]) => a - b));
}
