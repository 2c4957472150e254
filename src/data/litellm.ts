/**
 * LiteLLM's generic API callback, as it really arrives: one payload, an array of them, or one a line; `null` between
 * them; fields that grow with each release. What we do not need is not looked at.
 */
import { consumptionOf, type Consumption } from './consumption';
import type { Category } from './map';

/** What one item says, in our terms. */
export interface ParsedEvent {
  readonly index: number;
  readonly account: string;
  readonly callId: string;
  readonly at: Date;
  readonly model?: string;
  readonly user?: string;
  /** Bodies by category, as JSON text. A category the item says nothing of is absent. */
  readonly bodies: Readonly<Partial<Record<Category, string>>>;
  /** How long its bodies are together. */
  readonly bytes: number;
  /** What it adds to the daily totals. */
  readonly consumption: Consumption;
}

export type RejectionCode =
  'empty' | 'validation' | 'no-account' | 'unknown-account' | 'account-erased' | 'wrong-region';

/** An item that is not taken, by its place in the request. */
export interface Rejection {
  readonly index: number;
  readonly code: RejectionCode;
  readonly detail: string;
}

/** A body that is neither JSON nor one JSON value a line. */
export class UnreadableBodyError extends Error {
  override readonly name = 'UnreadableBodyError';
}

/** A line of NDJSON that is no JSON: its neighbours are still read. */
class BrokenLine {
  constructor(readonly detail: string) {}
}

/**
 * Splits a request's body into items, whatever its content type says: LiteLLM sends all three forms as JSON.
 *
 * @throws {UnreadableBodyError} when it is none of them
 */
export function splitItems(text: string): unknown[] {
  const trimmed = text.trim();
  if (trimmed === '') throw new UnreadableBodyError('the body is empty');
  try {
    const value = parse(trimmed);
    return Array.isArray(value) ? value : [value];
  } catch (error) {
    const lines = trimmed.split(/\r?\n/).filter((line) => line.trim() !== '');
    if (lines.length < 2) throw new UnreadableBodyError(`the body is not JSON: ${messageOf(error)}`);
    const items = lines.map(readLine);
    if (items.every((item) => item instanceof BrokenLine))
      throw new UnreadableBodyError('the body is neither JSON nor NDJSON');
    return items;
  }
}

function readLine(line: string): unknown {
  try {
    return parse(line);
  } catch (error) {
    return new BrokenLine(`the line is not JSON: ${messageOf(error)}`);
  }
}

/** Text in quotes, or one of the numbers that Python writes and JSON does not have. */
const textOrNoNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b/g;

/** Parses JSON, also as Python writes it: a cost that is `NaN` must not lose the whole batch. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    return JSON.parse(text.replace(textOrNoNumber, (found) => (found.startsWith('"') ? found : 'null')));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 120) : 'unreadable';
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** 7 of an event's 11 kilobytes, the same for every call of a model: worth dropping. */
const dropped = ['model_map_information'];
const usageFields = [
  'total_tokens',
  'prompt_tokens',
  'completion_tokens',
  'response_cost',
  'cost_breakdown',
  'saved_cache_cost',
  'cache_hit',
  'model',
  'model_group',
  'custom_llm_provider',
  'call_type',
  'status',
  'startTime',
  'endTime',
  'completionStartTime',
  'response_time',
] as const;
const notLogs = new Set<string>([...dropped, 'messages', 'response', ...usageFields]);

/** An account's id: opaque, and never an e-mail address. */
export const accountIdPattern = /^[A-Za-z0-9._-]{1,64}$/;
const maxCallId = 256;
/** All of an item in bytes: it is stored in one transaction, and the embedded database takes some 11 MiB in one. */
const maxItem = 10 * 1024 * 1024;
/** Far more than any request has; what is deeper could be stored, but not written out again. */
export const maxDepth = 500;
const maxName = 256;
const earliest = Date.UTC(2000, 0) / 1000;
const latest = Date.UTC(2100, 0) / 1000;

/** Reads one item. @param accountPaths where a payload names its account, the first that does decides */
export function parseEvent(
  item: unknown,
  index: number,
  accountPaths: readonly (readonly string[])[],
): ParsedEvent | Rejection {
  if (item === null || item === undefined) return { index, code: 'empty', detail: 'the item is null' };
  if (item instanceof BrokenLine) return { index, code: 'validation', detail: item.detail };
  if (!isFields(item)) return { index, code: 'validation', detail: 'the item is not an object' };
  const callId = item['litellm_call_id'];
  if (typeof callId !== 'string' || callId === '' || callId.length > maxCallId) {
    return { index, code: 'validation', detail: `litellm_call_id must be a text of 1 to ${maxCallId} characters` };
  }
  // The database would store another text than this, and the call would not be known again.
  if (!callId.isWellFormed()) {
    return { index, code: 'validation', detail: 'litellm_call_id must be well-formed Unicode' };
  }
  const time = item['startTime'];
  if (typeof time !== 'number' || !(time >= earliest && time <= latest)) {
    return { index, code: 'validation', detail: 'startTime must be a time in epoch seconds' };
  }
  const account = firstText(item, accountPaths);
  if (account === undefined) return { index, code: 'no-account', detail: 'the item names no account' };
  if (!accountIdPattern.test(account)) return { index, code: 'unknown-account', detail: 'there is no such account' };
  if (isDeeperThan(item, maxDepth)) {
    return { index, code: 'validation', detail: `the item is nested deeper than ${maxDepth} levels` };
  }
  const bodies = bodiesOf(item);
  const bytes = Object.values(bodies).reduce((sum, body) => sum + Buffer.byteLength(body), 0);
  if (bytes > maxItem) {
    return { index, code: 'validation', detail: 'the item is too large to store' };
  }
  const model = item['model_group'] ?? item['model'];
  const metadata = isFields(item['metadata']) ? item['metadata'] : {};
  const user = [item['end_user'], metadata['user_api_key_end_user_id'], metadata['user_api_key_user_id']].find(isText);
  return {
    index,
    account,
    callId,
    at: new Date(Math.round(time * 1000)),
    ...(isText(model) ? { model: nameOf(model) } : {}),
    ...(user === undefined ? {} : { user: nameOf(user) }),
    bodies,
    bytes,
    consumption: consumptionOf(item['prompt_tokens'], item['completion_tokens'], item['response_cost']),
  };
}

/** As the database stores it: half a character, sent or left by cutting, is none. */
function nameOf(text: string): string {
  return text.slice(0, maxName).toWellFormed();
}

/** Whether a value from JSON is nested deeper than so many levels. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(inner, levels - 1));
}

function bodiesOf(item: Fields): Partial<Record<Category, string>> {
  const usage: Record<string, unknown> = {};
  for (const field of usageFields) if (item[field] !== undefined) usage[field] = item[field];
  // Not by assignment: a field may be called `__proto__`.
  const logs = Object.fromEntries(Object.entries(item).filter(([field]) => !notLogs.has(field)));
  const { messages, response } = item;
  return {
    ...(messages === undefined || messages === null ? {} : { prompts: JSON.stringify(messages) }),
    ...(response === undefined || response === null ? {} : { completions: JSON.stringify(response) }),
    usage: JSON.stringify(usage),
    logs: JSON.stringify(logs),
  };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function firstText(item: Fields, paths: readonly (readonly string[])[]): string | undefined {
  for (const path of paths) {
    let value: unknown = item;
    for (const part of path) value = isFields(value) && Object.hasOwn(value, part) ? value[part] : undefined;
    if (isText(value)) return value;
  }
  return undefined;
}
