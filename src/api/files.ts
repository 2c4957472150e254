/** Answering with a file: whole, or the stretch of it that was asked for (RFC 9110, section 14). */
import type { Answer, FileBody, Incoming, StreamBody } from './route';
import { Problem } from './problems';
import type { Sendable } from './reply';

/** A stretch of a file, from `start` up to but not including `end`. */
interface Stretch {
  readonly start: number;
  readonly end: number;
}

/**
 * The answer to a request for a file. What it says is known, and recorded, before a byte is sent.
 *
 * @throws {Problem} 416 where no byte of the file was asked for
 */
export async function fileAnswer(
  request: Incoming,
  { status, headers = {} }: Answer,
  file: FileBody | StreamBody,
): Promise<Sendable> {
  if ('stream' in file) {
    const answer = { status, headers: { ...headers, 'Content-Type': file.type } };
    return request.method === 'HEAD' ? answer : { ...answer, stream: file.stream() };
  }
  const tag = `"${file.tag}"`;
  const common = {
    ...headers,
    'Accept-Ranges': 'bytes',
    'Content-Disposition': `attachment; filename="${file.name}"`,
    'Content-Type': file.type,
    ETag: tag,
  };
  const stretch = stretchOf(request, file.bytes, tag);
  const { start, end } = stretch ?? { start: 0, end: file.bytes };
  const answer = {
    status: stretch === undefined ? status : 206,
    headers: {
      ...common,
      'Content-Length': String(end - start),
      ...(stretch === undefined ? {} : { 'Content-Range': `bytes ${start}-${end - 1}/${file.bytes}` }),
    },
  };
  if (request.method === 'HEAD') return answer;
  return { ...answer, stream: await file.open(start, end) };
}

/** The stretch asked for; nothing for the whole, which is also what several at once or a header that is none are answered with. */
function stretchOf({ headers }: Incoming, bytes: number, tag: string): Stretch | undefined {
  const { range, 'if-range': ifRange } = headers;
  // A file that is another by now is sent whole. We give out no dates, so none can match.
  if (range === undefined || (ifRange !== undefined && ifRange !== tag)) return undefined;
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(range.replaceAll(/\s/g, ''));
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  const start = first === '' ? Math.max(0, bytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1);
  if (start >= end) {
    throw new Problem(
      'range-not-satisfiable',
      `the file has ${bytes} bytes`,
      {},
      { 'Content-Range': `bytes */${bytes}` },
    );
  }
  return { start, end };
}
