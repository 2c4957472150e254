/**
 * Records as lines of NDJSON. Records of the categories are copied from the database's own bytes: what is stored as
 * JSON text is never parsed, and most of a record never becomes a JavaScript string.
 */
import { mongo } from 'mongoose';
import type { Category, DataSet } from '../data';

/** Turns stored documents into lines. */
export interface LineWriter {
  /** Appends the line of a document, as the database sent it. @returns the slab to compress, once it is full */
  add(raw: Buffer): Buffer | undefined;
  /** What is not handed out yet. */
  rest(): Buffer | undefined;
}

const slabBytes = 512 * 1024;
const newline = 0x0a;
const text = 0x02;
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

/** Lines of a category: `{"id","callId","category","at","model"?,"user"?,"body"}`. */
export function categoryLines(category: Category): LineWriter {
  const slab = new Slab();
  const id = Buffer.from(`{"id":"${category}:`);
  const callIdNext = Buffer.from('","callId":"');
  const at = Buffer.from(`","category":"${category}","at":"`);
  const model = Buffer.from(',"model":"');
  const user = Buffer.from(',"user":"');
  const body = Buffer.from(',"body":');
  const names = id.length + callIdNext.length + at.length + model.length + user.length + body.length + 64;

  return {
    rest: () => slab.rest(),
    add(raw) {
      const found = readRecord(raw);
      if (found === undefined) return addWhole(slab, category, raw);
      const callId = escaped(raw, found.callId);
      // Escaping makes a field at most six times as long; the body is copied as it is.
      const full = slab.reserve(
        names + 2 * callId.length + 6 * (length(found.model) + length(found.user)) + length(found.body),
      );
      slab.append(id);
      slab.append(callId);
      slab.append(callIdNext);
      slab.append(callId);
      slab.append(at);
      slab.appendText(new Date(found.at).toISOString());
      slab.appendText('"');
      if (found.model !== undefined) appendField(model, found.model);
      if (found.user !== undefined) appendField(user, found.user);
      slab.append(body);
      slab.append(onOneLine(raw, found.body));
      slab.appendText('}\n');
      return full;

      function appendField(name: Buffer, field: Span): void {
        slab.append(name);
        slab.append(escaped(raw, field));
        slab.appendText('"');
      }
    },
  };
}

/** Lines of any other data set: its fields as the data map declares them, but for the account, which the manifest names. */
export function plainLines(set: DataSet): LineWriter {
  const slab = new Slab();
  const fields = Object.keys(set.fields).filter((field) => field !== '_id' && field !== 'account');
  return {
    rest: () => slab.rest(),
    add(raw) {
      const document = mongo.BSON.deserialize(raw);
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
  readonly callId: Span;
  readonly at: number;
  readonly model: Span | undefined;
  readonly user: Span | undefined;
  readonly body: Span;
}

/** Finds a record's fields; nothing where it is not made as all of ours are. */
function readRecord(raw: Buffer): FoundRecord | undefined {
  const end = raw.readInt32LE(0) - 1;
  let callId: Span | undefined;
  let at: number | undefined;
  let model: Span | undefined;
  let user: Span | undefined;
  let body: Span | undefined;
  for (let position = 4; position < end;) {
    const type = raw[position];
    const nameEnd = raw.indexOf(0, position + 1);
    const name = raw.toString('latin1', position + 1, nameEnd);
    const value = nameEnd + 1;
    if (type === text) {
      const span = { start: value + 4, end: value + 4 + raw.readInt32LE(value) - 1 };
      position = span.end + 1;
      if (name === 'body') body = span;
      else if (name === 'callId') callId = span;
      else if (name === 'model') model = span;
      else if (name === 'user') user = span;
    } else if (type === date) {
      position = value + 8;
      if (name === 'at') at = raw.readInt32LE(value + 4) * 0x1_0000_0000 + raw.readUInt32LE(value);
    } else return undefined;
  }
  if (callId === undefined || at === undefined || body === undefined || body.start === body.end) return undefined;
  return { callId, at, model, user, body };
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
function onOneLine(raw: Buffer, { start, end }: Span): Buffer {
  const json = raw.subarray(start, end);
  if (!json.includes(newline) && !json.includes(0x0d)) return json;
  return Buffer.from(json.map((byte) => (byte === newline || byte === 0x0d ? 0x20 : byte)));
}

/** A record that was stored otherwise, past us: read whole. */
function addWhole(slab: Slab, category: Category, raw: Buffer): Buffer | undefined {
  const { callId, at, model, user, body } = mongo.BSON.deserialize(raw);
  const members = JSON.stringify({
    id: `${category}:${String(callId)}`,
    callId: callId as unknown,
    category,
    at: at as unknown,
    model: model as unknown,
    user: user as unknown,
  });
  return appendLine(slab, `${members.slice(0, -1)},"body":${jsonOf(body)}}\n`);
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
