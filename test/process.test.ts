/** What our processes have in common. */
import { createLog } from '../src/process';

describe('the log', () => {
  function logged(error: unknown): string {
    const lines: string[] = [];
    createLog('test', 'info', { write: (line: string) => lines.push(line) }).error({ err: error }, 'it broke');
    return lines.join('');
  }

  it('says what broke and where, and nothing of what was being written', () => {
    const document = { body: 'canary' };
    const cause = Object.assign(new Error('the cause'), { op: document });
    const error = Object.assign(new Error('a bulk write failed', { cause }), {
      name: 'MongoBulkWriteError',
      code: 11000,
      writeErrors: [{ op: document }],
      result: { insertedDocuments: [document] },
    });
    const text = logged(error);
    expect(text).not.toContain('canary');
    expect(JSON.parse(text)).toMatchObject({
      msg: 'it broke',
      err: {
        type: 'MongoBulkWriteError',
        message: 'a bulk write failed',
        code: 11000,
        stack: expect.stringContaining('process.test.ts') as string,
        cause: { type: 'Error', message: 'the cause' },
      },
    });
  });

  it('shows no more than the beginning of a long message, and nothing of what is no error', () => {
    const text = logged(new Error(`${'x'.repeat(600)}canary`));
    expect(text).not.toContain('canary');
    expect(text).toContain('x'.repeat(500));
    expect(logged({ body: 'canary' })).not.toContain('canary');
  });
});
