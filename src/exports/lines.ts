/**
 * Records as lines of NDJSON. Records of the categories are copied from the database's own bytes: what is JSON text once it
 * is opened is never parsed, and most of a record never becomes a JavaScript string.
 */
import { mongo } from 'mongoose';
import { openContentBytes, reveal, type Category, type DataSet } from '../data';
import { UnreadableValueError, type Cipher } from '../vault';

/** Turns stored documents into lines. */
export interface LineWriter {
  /**
   * Appends the line of a document, as the database sent it. The cipher comes with it: writing takes longer than a process
   * may go on with the keys it has.
   *
   * @returns the slab to compress, once it is full
   */
  add(raw: Buffer, cipher: Cipher): Buffer | undefined;
  /** What is not handed out yet. */
  rest(): Buffer | undefined;
}

const slabBytes = 512 * 1024;
const newline = 0x0a;
const text = 0x02;
const binary = 0x05;
const date = 0x09;

/** Lines are put together in slabs; one that does not fit is a slab of its own. */
class Slab {
  #bytes = Buffer.allocUnsafe(slabBytes);
  #used = 0;

  /** Makes room. @returns what was there, where it had to make way */
  reserve(length: number): Buffer | undefined {
    if (this.#used + length <= this.#bytes.length) return undefined;
    const full = this.rest();
    if (length > this.#bytes.length) this.#bytes = Buffer.allocUnsafe(length);
    return full;
  }

  rest(): Buffer | undefined {
    const full = this.#used === 0 ? undefined : this.#bytes.subarray(0, this.#used);
    this.#bytes = Buffer.allocUnsafe(slabBytes);
    this.#used = 0;
    return full;
  }

  append(source: Buffer, start = 0, end = source.length): void {
    this.#used += source.copy(this.#bytes, this.#used, start, end);
  }

  appendText(plain: string): void {
    this.#used += this.#bytes.write(plain, this.#used, 'latin1');
  }
}

/**
 * Lines of a category: `{"id","callId","category","at","model"?,"user"?,"body"}`.
 *
 * @throws {UnreadableValueError} from `add`: the record was altered, or put there past us
 */
export function categoryLines(category: Category): LineWriter {
  const slab = new Slab();
  const id = Buffer.from(`{"id":"${category}:`);
  const callIdNext = Buffer.from('","callId":"');
  const at = Buffer.from(`","category":"${category}","at":"`);
  const model = Buffer.from(',"model":"');
  const user = Buffer.from(',"user":');
  const body = Buffer.from(',"body":');
  const names = id.length + callIdNext.length + at.length + model.length + user.length + body.length + 64;

  return {
    rest: () => slab.rest(),
    add(raw, cipher) {
      const found = readRecord(raw, category);
      const content = openContentBytes(cipher, category, textOf(raw, found.id), bytesOf(raw, found.body));
      const callId = escaped(raw, found.callId);
      // Escaping makes a field at most six times as long; what was encrypted is copied as it is.
      const full = slab.reserve(
        names + 2 * callId.length + 6 * length(found.model) + (content.user?.length ?? 0) + content.body.length,
      );
      slab.append(id);
      slab.append(callId);
      slab.append(callIdNext);
      slab.append(callId);
      slab.append(at);
      slab.appendText(new Date(found.at).toISOString());
      slab.appendText('"');
      if (found.model !== undefined) {
        slab.append(model);
        slab.append(escaped(raw, found.model));
        slab.appendText('"');
      }
      if (content.user !== undefined) {
        slab.append(user);
        slab.append(content.user);
      }
      slab.append(body);
      slab.append(onOneLine(content.body));
      slab.appendText('}\n');
      return full;
    },
  };
}

/** Lines of any other data set: its fields as the data map declares them, but for the account, which the manifest names. */
export function plainLines(set: DataSet): LineWriter {
  const slab = new Slab();
  const fields = Object.keys(set.fields).filter((field) => field !== '_id' && field !== 'account');
  return {
    rest: () => slab.rest(),
    add(raw, cipher) {
      const stored = mongo.BSON.deserialize(raw);
      const document: mongo.Document = reveal(cipher, set.collection, { ...stored, _id: stored['_id'] as unknown });
      const key = String(document['_id']).replace(/^[^:]*:/, '');
      const members = fields
        .filter((field) => document[field] !== undefined)
        .map(
          (field) =>
            `,${JSON.stringify(field)}:${field === 'body' ? jsonOf(document[field]) : JSON.stringify(document[field])}`,
        );
      return appendLine(slab, `{"id":${JSON.stringify(`${set.name}:${key}`)}${members.join('')}}\n`);
    },
  };
}

/** Where a field's bytes lie in a document. */
interface Span {
  readonly start: number;
  readonly end: number;
}

interface FoundRecord {
  readonly id: Span;
  readonly callId: Span;
  readonly at: number;
  readonly model: Span | undefined;
  readonly body: Span;
}

/** Finds a record's fields. @throws {UnreadableValueError} it is not made as all of ours are */
function readRecord(raw: Buffer, category: Category): FoundRecord {
  const end = raw.readInt32LE(0) - 1;
  let id: Span | undefined;
  let callId: Span | undefined;
  let at: number | undefined;
  let model: Span | undefined;
  let body: Span | undefined;
  for (let position = 4; position < end;) {
    const type = raw[position];
    const nameEnd = raw.indexOf(0, position + 1);
    const name = raw.toString('latin1', position + 1, nameEnd);
    const value = nameEnd + 1;
    if (type === text) {
      const span = { start: value + 4, end: value + 4 + raw.readInt32LE(value) - 1 };
      position = span.end + 1;
      if (name === '_id') id = span;
      else if (name === 'callId') callId = span;
      else if (name === 'model') model = span;
    } else if (type === binary) {
      // Its length, and a byte for what kind of bytes they are.
      const span = { start: value + 5, end: value + 5 + raw.readInt32LE(value) };
      position = span.end;
      if (name === 'body') body = span;
    } else if (type === date) {
      position = value + 8;
      if (name === 'at') at = raw.readInt32LE(value + 4) * 0x1_0000_0000 + raw.readUInt32LE(value);
    } else break;
  }
  if (id === undefined || callId === undefined || at === undefined || body === undefined) {
    throw new UnreadableValueError(
      `the record ${id === undefined ? 'without an id' : textOf(raw, id)} of ${category} is not made as records are`,
    );
  }
  return { id, callId, at, model, body };
}

function bytesOf(raw: Buffer, { start, end }: Span): Buffer {
  return raw.subarray(start, end);
}

function textOf(raw: Buffer, { start, end }: Span): string {
  return raw.toString('utf8', start, end);
}

function length(span: Span | undefined): number {
  return span === undefined ? 0 : span.end - span.start;
}

/** The inside of a JSON string: the bytes as they are, as a rule. */
function escaped(raw: Buffer, { start, end }: Span): Buffer {
  for (let position = start; position < end; position += 1) {
    const byte = raw[position] ?? 0;
    if (byte < 0x20 || byte === 0x22 || byte === 0x5c) {
      return Buffer.from(JSON.stringify(raw.toString('utf8', start, end)).slice(1, -1));
    }
  }
  return raw.subarray(start, end);
}

/** JSON text without line breaks: inside a string JSON allows none, so what there is stands between two tokens. */
function onOneLine(json: Buffer): Buffer {
  if (!json.includes(newline) && !json.includes(0x0d)) return json;
  return Buffer.from(json.map((byte) => (byte === newline || byte === 0x0d ? 0x20 : byte)));
}

function jsonOf(value: unknown): string {
  if (typeof value === 'string' && value !== '') return value.replaceAll(/[\r\n]/g, ' ');
  return JSON.stringify(value ?? null);
}

function appendLine(slab: Slab, line: string): Buffer | undefined {
  const bytes = Buffer.from(line);
  const full = slab.reserve(bytes.length);
  slab.append(bytes);
  return full;
}
