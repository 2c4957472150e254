/**
 * docs/asvs.md judges every requirement of OWASP ASVS 5.0 up to level 2, once, and names tests that exist; docs/security.md sums
 * it up as it is.
 */
import { brokenLinks, missingTests, readDocument } from './helpers/documents';

/** The requirements of levels 1 and 2, by number. */
const requirements: Readonly<Record<string, string>> = {
  V1: '1.1.1 1.1.2 1.2.1 1.2.2 1.2.3 1.2.4 1.2.5 1.2.6 1.2.7 1.2.8 1.2.9 1.3.1 1.3.2 1.3.3 1.3.4 1.3.5 1.3.6 1.3.7 1.3.8 1.3.9 1.3.10 1.3.11 1.4.1 1.4.2 1.4.3 1.5.1 1.5.2',
  V2: '2.1.1 2.1.2 2.1.3 2.2.1 2.2.2 2.2.3 2.3.1 2.3.2 2.3.3 2.3.4 2.4.1',
  V3: '3.2.1 3.2.2 3.3.1 3.3.2 3.3.3 3.3.4 3.4.1 3.4.2 3.4.3 3.4.4 3.4.5 3.4.6 3.5.1 3.5.2 3.5.3 3.5.4 3.5.5 3.7.1 3.7.2',
  V4: '4.1.1 4.1.2 4.1.3 4.2.1 4.3.1 4.3.2 4.4.1 4.4.2 4.4.3 4.4.4',
  V5: '5.1.1 5.2.1 5.2.2 5.2.3 5.3.1 5.3.2 5.4.1 5.4.2 5.4.3',
  V6: '6.1.1 6.1.2 6.1.3 6.2.1 6.2.2 6.2.3 6.2.4 6.2.5 6.2.6 6.2.7 6.2.8 6.2.9 6.2.10 6.2.11 6.2.12 6.3.1 6.3.2 6.3.3 6.3.4 6.4.1 6.4.2 6.4.3 6.4.4 6.5.1 6.5.2 6.5.3 6.5.4 6.5.5 6.6.1 6.6.2 6.6.3 6.8.1 6.8.2 6.8.3 6.8.4',
  V7: '7.1.1 7.1.2 7.1.3 7.2.1 7.2.2 7.2.3 7.2.4 7.3.1 7.3.2 7.4.1 7.4.2 7.4.3 7.4.4 7.4.5 7.5.1 7.5.2 7.6.1 7.6.2',
  V8: '8.1.1 8.1.2 8.2.1 8.2.2 8.2.3 8.3.1 8.4.1',
  V9: '9.1.1 9.1.2 9.1.3 9.2.1 9.2.2 9.2.3 9.2.4',
  V10: '10.1.1 10.1.2 10.2.1 10.2.2 10.3.1 10.3.2 10.3.3 10.3.4 10.4.1 10.4.2 10.4.3 10.4.4 10.4.5 10.4.6 10.4.7 10.4.8 10.4.9 10.4.10 10.4.11 10.5.1 10.5.2 10.5.3 10.5.4 10.5.5 10.6.1 10.6.2 10.7.1 10.7.2 10.7.3',
  V11: '11.1.1 11.1.2 11.2.1 11.2.2 11.2.3 11.3.1 11.3.2 11.3.3 11.4.1 11.4.2 11.4.3 11.4.4 11.5.1 11.6.1',
  V12: '12.1.1 12.1.2 12.1.3 12.2.1 12.2.2 12.3.1 12.3.2 12.3.3 12.3.4',
  V13: '13.1.1 13.2.1 13.2.2 13.2.3 13.2.4 13.2.5 13.3.1 13.3.2 13.4.1 13.4.2 13.4.3 13.4.4 13.4.5',
  V14: '14.1.1 14.1.2 14.2.1 14.2.2 14.2.3 14.2.4 14.3.1 14.3.2 14.3.3',
  V15: '15.1.1 15.1.2 15.1.3 15.2.1 15.2.2 15.2.3 15.3.1 15.3.2 15.3.3 15.3.4 15.3.5 15.3.6 15.3.7',
  V16: '16.1.1 16.2.1 16.2.2 16.2.3 16.2.4 16.2.5 16.3.1 16.3.2 16.3.3 16.3.4 16.4.1 16.4.2 16.4.3 16.5.1 16.5.2 16.5.3',
  V17: '17.1.1 17.2.1 17.2.2 17.2.3 17.2.4 17.3.1 17.3.2',
};

const results = ['met', 'partly', 'operator', 'not applicable', 'not met'];
const all = Object.values(requirements).flatMap((numbers) => numbers.split(' '));

interface Row {
  readonly chapter: string;
  readonly numbers: readonly string[];
  readonly result: string;
  readonly how: string;
  readonly tests: readonly string[];
}

function rowsOf(text: string): Row[] {
  return text.split(/^## /m).flatMap((section) => {
    const chapter = section.split('\n')[0]?.trim() ?? '';
    return [...section.matchAll(/^\| (\d[\d.–]*) +\| ([^|]+?) +\| (.*?) +\| (.*?) *\|$/gm)].map(
      ([, named = '', result = '', how = '', tests = '']) => ({
        chapter,
        numbers: numbersOf(named),
        result,
        how,
        tests: [...tests.matchAll(/`([^`]+)`/g)].map(([, test = '']) => test),
      }),
    );
  });
}

/** One requirement, or those from one to another. */
function numbersOf(named: string): string[] {
  const [first = '', last = first] = named.split('–');
  const [from, to] = [all.indexOf(first), all.indexOf(last)];
  return from === -1 || to === -1 ? [named] : all.slice(from, to + 1);
}

const rows = rowsOf(readDocument('asvs.md'));

it('judges each requirement once, in its chapter', () => {
  expect(rows.flatMap(({ numbers }) => numbers)).toEqual(all);
  const misplaced = rows.filter(({ chapter, numbers }) =>
    numbers.some((one) => !chapter.startsWith(`V${one.split('.')[0] ?? ''} `)),
  );
  expect(misplaced).toEqual([]);
});

it('with one of the results it explains, in words, and what is met by the product with a test that exists', () => {
  expect(rows.filter(({ result }) => !results.includes(result))).toEqual([]);
  expect(rows.filter(({ how }) => how.length < 3)).toEqual([]);
  const untested = rows.filter(({ result, tests }) => result === 'met' && tests.length === 0);
  // Compiling schemas is nothing a test of ours could look at.
  expect(untested.map(({ numbers }) => numbers.join())).toEqual(['1.3.2']);
  const named = rows.flatMap(({ tests }) => tests).map((test) => `test/${test}.test.ts`);
  expect(missingTests(named.join('\n'))).toEqual([]);
  expect(brokenLinks('asvs.md')).toEqual([]);
});

it('is summed up in docs/security.md', () => {
  const count = (of: readonly Row[], result: string) =>
    of.filter((row) => row.result === result).reduce((sum, { numbers }) => sum + numbers.length, 0);
  const chapters = [...new Set(rows.map(({ chapter }) => chapter))];
  const expected = chapters.map((chapter) => {
    const own = rows.filter((row) => row.chapter === chapter);
    const counts = results.map((result) => count(own, result));
    return [chapter, counts.reduce((sum, one) => sum + one, 0), ...counts];
  });
  const totals = ['all', all.length, ...results.map((result) => count(rows, result))];
  const [, section = ''] = readDocument('security.md').split('## OWASP ASVS\n');
  const found = [...section.matchAll(/^\| (?:\[(V[^\]]+)\]\([^)]*\)|\*\*(all)\*\*) +\|(.*)\|$/gm)].map(
    ([, chapter, last, cells = '']) => [
      chapter ?? last,
      ...cells.split('|').map((cell) => Number(cell.replaceAll('*', '').trim())),
    ],
  );
  expect(found).toEqual([...expected, totals]);
});
