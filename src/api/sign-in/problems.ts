/** From why somebody was not signed in to the problem they are told. */
import type { Actor } from '../../lifecycle';
import type { SignInError, SignInFault } from '../../sso';
import { invalid, Problem, type ProblemCode } from '../problems';

const codes: Readonly<Record<SignInFault, ProblemCode>> = {
  'provider-away': 'unavailable',
  denied: 'forbidden',
  state: 'validation',
  replayed: 'conflict',
  token: 'unauthenticated',
  organisation: 'forbidden',
  'no-role': 'forbidden',
  'no-account': 'forbidden',
  blocked: 'forbidden',
  'other-person': 'forbidden',
  'not-fresh': 'forbidden',
};

/**
 * @param actor who it was, where they are known here
 * @param headers what the answer carries besides
 */
export function problemOfFault(
  error: SignInError,
  headers: Readonly<Record<string, string>> = {},
  actor?: Actor,
): Problem {
  const problem = plainProblem(error, headers);
  const { fault } = error;
  if (fault === 'provider-away') return problem;
  return problem.because('sign-in', { cause: fault, ...(actor === undefined ? {} : { actor }) });
}

function plainProblem({ fault, message }: SignInError, headers: Readonly<Record<string, string>>): Problem {
  const code = codes[fault];
  if (code === 'validation')
    return new Problem(code, message, invalid([{ path: 'state', detail: message }]).extras, headers);
  return new Problem(code, message, {}, code === 'unavailable' ? { 'Retry-After': '2', ...headers } : headers);
}
