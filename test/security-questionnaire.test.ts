/** docs/security-questionnaire.md answers every question customers' reviewers ask, and whatever it tells to run or to call exists. */
import { startApi, type Api } from './helpers/api';
import { brokenLinks, missingCommands, missingTests, missingVariables, readDocument } from './helpers/documents';

const name = 'security-questionnaire.md';
const text = readDocument(name);

/** What a provider of a gateway publishes of itself, and what its customers' reviewers ask: each point of it. */
const questions: Readonly<Record<string, readonly string[]>> = {
  Encryption: ['Is stored data encrypted, and under which keys?', 'Is data encrypted in transit?'],
  'Hosting and regions': [
    'Which providers store or process data, and how do they protect it?',
    'Which data regions are there?',
    'Are data, user accounts and infrastructure of the regions separate?',
    'How is it installed and configured?',
  ],
  Access: ['How do users sign in?', 'Who may do what?', 'Can the addresses that reach it be restricted?'],
  Records: [
    'Is there an audit log, and how long is it kept?',
    'Are key events logged: authentication, creation, update, deletion?',
  ],
  Telemetry: ['Is any data or telemetry sent to the vendor?'],
  Vulnerabilities: [
    'How is a vulnerability reported?',
    'Is there a vulnerability disclosure policy?',
    'Is there a bug bounty programme?',
    'Are vulnerability scans performed?',
  ],
  Organisation: [
    'What is the name of the legal entity?',
    'How many employees are there, and how many for security?',
    'Who is the contact for security incidents?',
    'Who is the contact for general security questions?',
    'Has the vendor been audited or certified?',
    'Is there an information security management system?',
    'Is there a cybersecurity incident management programme?',
  ],
};

const all = Object.values(questions).flat();

it('has a section for each question, under its subject, and no other', () => {
  const found: Record<string, string[]> = {};
  let subject = '';
  for (const [, depth, heading = ''] of text.matchAll(/^(##|###) (.+)$/gm)) {
    if (depth === '##') found[(subject = heading)] = [];
    else found[subject]?.push(heading);
  }
  expect(found).toEqual(questions);
});

it.each(all)('%s: says what the product does, how to check it, and what the operator fills in', (question) => {
  const section = text.split(`### ${question}\n`)[1]?.split(/^##/m)[0] ?? '';
  const parts = [...section.matchAll(/^\*\*(The product|To check|The operator)\.\*\*/gm)].map(([, part]) => part);
  expect(parts).toEqual(['The product', 'To check', 'The operator']);
  const [, operator = ''] = section.split('**The operator.**');
  expect(operator).toMatch(/⟨fill in: [^⟩]+⟩/);
  // What is to be filled in stands nowhere else, where it would be overlooked.
  expect(section.split('**The operator.**')[0]).not.toContain('⟨');
});

it('names tests, commands, variables and documents that exist', () => {
  expect(missingTests(text)).toEqual([]);
  expect(missingCommands(text)).toEqual([]);
  expect(missingVariables(text)).toEqual([]);
  expect(brokenLinks(name)).toEqual([]);
});

describe('what it tells to call', () => {
  let api: Api;
  beforeAll(async () => {
    api = await startApi();
  }, 120_000);
  afterAll(() => api.stop());

  it('is there', () => {
    const known = new Set(api.routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`));
    const named = [
      ...[...text.matchAll(/`(GET|POST|PUT|DELETE) (\/[^`\s?]+)/g)].map(
        ([, method, path]) => `${method ?? ''} ${path ?? ''}`,
      ),
      ...[...text.matchAll(/^curl (.*)"\$URL(\/[^"?]+)/gm)].map(
        ([, options = '', path]) => `${options.includes('-X POST') ? 'POST' : 'GET'} ${path ?? ''}`,
      ),
    ];
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((call) => !known.has(call))).toEqual([]);
  });
});
