#!/usr/bin/env node
/**
 * Checks a certificate of erasure offline: `node verify.mjs CERT.json --key KEYS.json`. Needs Node 20 or later and
 * nothing else, and opens no connection. CERT.json is what `GET /v1/certificates/:id` answered, KEYS.json what
 * `GET /v1/keys/public` did, or one key of it. Exits with 0 if everything holds, with 1 if anything does not, and with 2
 * if it could not be checked. Each step, and what it is for: docs/certificates.md. The functions run in browsers too.
 */

/** Throws unless something holds: an error whose `reason` is stable, and whose message is for people. */
function demand(holds, reason, message) {
  if (!holds) throw Object.assign(new Error(message), { reason });
}

const digest = async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
const utf8 = (text) => new TextEncoder().encode(text);
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const toUrl = (text) => text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
/** Base64url in its one spelling: the bits of the last character that mean nothing are zero. */
const spelling = /^(?:[\w-]{4})*(?:[\w-][AQgw]|[\w-]{2}[AEIMQUYcgkosw048])?$/;

function bytesOf(text, what) {
  demand(typeof text === 'string' && spelling.test(text), 'malformed', `${what} is not base64url`);
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
}

function jsonOf(bytes, what) {
  let value;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // Refused below, like anything else that is no object.
  }
  demand(value?.constructor === Object, 'malformed', `${what} is not a JSON object`);
  return value;
}

async function signs(key, signature, message) {
  key.imported ??= crypto.subtle.importKey('raw', bytesOf(key.x, 'a key'), 'Ed25519', false, ['verify']);
  return crypto.subtle.verify('Ed25519', await key.imported, signature, message);
}

/** Opens a signed part, a flattened JWS (RFC 7515): what it says, whose signature it bears, and its own hash. */
async function open(jws, type, keys, what, others = []) {
  demand(jws?.constructor === Object, 'malformed', `${what} is missing`);
  const unsigned = Object.keys(jws).find((name) => !['payload', 'protected', 'signature', ...others].includes(name));
  demand(unsigned === undefined, 'unsigned-member', `${what} holds "${unsigned}", which nobody signed`);
  const { crit, alg, typ, ver, kid } = jsonOf(bytesOf(jws.protected, `the header of ${what}`), `the header of ${what}`);
  demand(crit === undefined, 'critical', `${what} demands something this program does not know: ${crit}`);
  demand(alg === 'EdDSA', 'algorithm', `${what} names the algorithm ${alg} instead of EdDSA`);
  demand(typ === type, 'type', `${what} is of the type ${typ} instead of ${type}`);
  demand(ver === 1, 'version', `${what} is of version ${ver}, and this program knows version 1`);
  const key = keys.find((candidate) => candidate.kid === kid);
  demand(key !== undefined, 'unknown-key', `${what} names the key ${kid}, which is not among those given`);
  const content = bytesOf(jws.payload, what);
  const signed = `${jws.protected}.${jws.payload}`;
  const genuine = await signs(key, bytesOf(jws.signature, `the signature of ${what}`), utf8(signed));
  demand(genuine, 'signature', `${what} was altered, or not signed with the key ${kid}`);
  const sha256 = toUrl(base64(await digest(utf8(`${signed}.${jws.signature}`))));
  return { says: jsonOf(content, what), kid, sha256 };
}

/**
 * Checks a certificate, its addenda, and its place in the audit log.
 *
 * @param keys JSON Web Keys that are trusted
 * @throws {Error} the first thing that does not hold; its `reason` is stable
 */
async function verifyCertificate(document, keys) {
  const top = await open(document, 'ablauf-certificate', keys, 'the certificate', ['addenda', 'statement']);
  const { says: certificate, sha256, kid } = top;
  demand(Array.isArray(document.addenda), 'malformed', 'the list of addenda is missing');
  const belongs = (part) => part.certificate === certificate.id && part.certificateSha256 === sha256;
  const addenda = [];
  let last = sha256;
  for (const jws of document.addenda) {
    const name = `addendum ${addenda.length + 1}`;
    const { says, sha256: own } = await open(jws, 'ablauf-addendum', keys, name);
    demand(belongs(says), 'addendum-of-another', `${name} was added to another certificate, ${says.certificate}`);
    demand(says.number === addenda.length + 1, 'addendum-order', `in place of ${name} stands addendum ${says.number}`);
    demand(says.previousSha256 === last, 'addendum-chain', `${name} does not follow the one before it`);
    addenda.push(says);
    last = own;
  }
  const { says: statement } = await open(document.statement, 'ablauf-statement', keys, 'the statement');
  demand(belongs(statement), 'statement-of-another', 'the statement was made for another certificate');
  const all = statement.addenda === addenda.length && statement.lastSha256 === last;
  demand(all, 'addenda-missing', `the statement counts ${statement.addenda} addenda; here are ${addenda.length}`);
  if (certificate.log !== undefined) await checkLog(certificate, keys);
  return { certificate, kid, addenda, statement };
}

/** That the log of the checkpoint holds the erasure's entry (RFC 9162, 2.1.3.2), and that the entry says the same. */
async function checkLog({ log, id, kind, subject, region }, keys) {
  const { origin, size, root } = await openCheckpoint(log.checkpoint, keys);
  demand(origin === `ablauf/${region}/audit`, 'log-origin', `the checkpoint is of ${origin}, the erasure of ${region}`);
  demand(size === log.size, 'inclusion', `the proof is for ${log.size} entries, the checkpoint for ${size}`);
  const entry = jsonOf(utf8(log.leaf), 'the log entry');
  const acts = { 'account.erased': 'erasure', 'retained.erased': 'retained-erasure' };
  const same = acts[entry.action] === kind && entry.subject === subject && entry.details?.certificate === id;
  demand(same, 'log-entry', 'the log entry is about something else');
  let [node, end] = [log.index, log.size - 1];
  let hash = await digest(utf8(`\0${log.leaf}`));
  const up = () => ([node, end] = [Math.floor(node / 2), Math.floor(end / 2)]);
  for (const text of log.hashes) {
    const sibling = bytesOf(toUrl(text), 'a hash of the proof');
    const isRight = node % 2 === 1 || node === end;
    hash = await digest(Uint8Array.of(1, ...(isRight ? [...sibling, ...hash] : [...hash, ...sibling])));
    while (isRight && node % 2 === 0 && node > 0) up();
    demand(end > 0, 'inclusion', 'the proof is too long');
    up();
  }
  demand(end === 0 && base64(hash) === root, 'inclusion', `the log does not hold the entry at position ${log.index}`);
}

/** Opens a checkpoint, a signed note (C2SP): the log it is of, how many entries that has, and the hash over them. */
async function openCheckpoint(note, keys) {
  const [, text, origin, size, root, signatures] =
    /^((.+)\n(\d{1,15})\n(.+)\n(?:.+\n)*)\n((?:— .+\n)+)$/.exec(note) ?? [];
  demand(text !== undefined, 'checkpoint', 'the checkpoint is not a signed note');
  for (const [, signature] of signatures.split('\n').map((line) => line.split(`— ${origin} `))) {
    const bytes = signature === undefined ? [] : bytesOf(toUrl(signature), 'a signature of the checkpoint');
    for (const key of keys) {
      const id = await digest(Uint8Array.of(...utf8(`${origin}\n`), 1, ...bytesOf(key.x, 'a key')));
      const named = base64(id.slice(0, 4)) === base64(bytes.slice(0, 4));
      if (named && (await signs(key, bytes.slice(4), utf8(text)))) return { origin, size: Number(size), root };
    }
  }
  return demand(false, 'checkpoint-signature', 'the checkpoint bears no signature by a key of those given');
}

/** What is certified, in plain words, line by line. @param verified what {@link verifyCertificate} returned */
function describe({ certificate, kid, addenda, statement }) {
  const { account, search, key, log, late, ...its } = certificate;
  const lines = [`Certificate ${its.id} holds. It was signed ${its.signedAt} with the key ${kid}.`];
  const say = (value, text) => value !== undefined && lines.push(text(value));
  const each = (title, items, text) => {
    say(items, () => `${title}:${items.length === 0 ? ' none' : ''}`);
    for (const item of items ?? []) lines.push(`  - ${text(item)}`);
  };
  const with_ = (word, value) => (value === undefined ? '' : `, ${word} ${value}`);
  lines.push(`An account of ${its.region}, named by its pseudonym alone: ${its.subject}`);
  say(account, (a) => `Opened ${a.openedAt}${with_('suspended', a.suspendedAt)}, closed ${a.closedAt} (${a.closure}).`);
  say(account, (a) => `Due for erasure ${a.dueAt}, erased ${a.erasedAt}, by the plan ${its.planHash}.`);
  say(its.clocks, () => `Kept by law after the erasure of ${its.follows}, and erased ${its.erasedAt}.`);
  say(its.policy, (p) => `Expiry period ${p.expiryPeriod}${with_('put off by notice until', p.notBefore)}.`);
  const left = (set) => `${set.left} left${with_('until', set.until)}${with_('because:', set.reason)}`;
  each('Data sets', its.sets, (s) => `${s.dataset}: ${s.found} found, ${s.erased} erased (${s.rule}), ${left(s)}`);
  each('Kept by law', its.retained, (r) => `${r.records} ${r.dataset} until ${r.until}: ${r.law}`);
  say(search, (s) => `Searched ${s.at} in ${s.collections.length} places: ${s.found} found.`);
  each('Not searched, on purpose', search?.except, (name) => name);
  each('Legal holds honoured', its.holds, (hold) => `${hold.placedAt} to ${hold.releasedAt}`);
  each('Delays', its.delays, ({ reason, since, until }) => `${since} to ${until}: ${reason}`);
  each('Processors told', its.processors, ({ processor, request }) => `${processor}, request ${request}`);
  say(late, (l) => `Data that came too late: ${l.discarded} discarded, ${l.refused} refused, until ${its.issuedAt}.`);
  say(key, (k) => `Key destroyed ${k.destroyedAt}; gone from the last backup of keys by ${k.finalAt}.`);
  if (key?.apart !== true) lines.push('NOT certified: that backups of the data cannot be read any more.');
  say(log, (l) => `Entry ${l.index} of ${l.size} in the audit log, under a signed checkpoint.`);
  if (log === undefined) lines.push('NOT certified: a place in the audit log.');
  const said = ({ processor, status }) => `${with_('by', processor)}${with_('status', status)}`;
  each('Addenda', addenda, ({ at, kind, content }) => `${at} ${kind}${said(content)}`);
  lines.push(`That was all by ${statement.at}. Since it was issued, ${statement.late.refused} events were refused.`);
  return lines;
}

/** What is refused may say anything: no control characters reach a terminal. */
const printable = (line) => line.replace(/\p{Cc}/gu, '?');

/** Checks what two files hold. @returns what to say, the exit code, and of a refusal the reason */
export async function check(certificate, keys) {
  try {
    const parsed = JSON.parse(keys);
    const isKey = ({ kty, crv, x }) => kty === 'OKP' && crv === 'Ed25519' && spelling.test(x);
    // A key is known by its thumbprint (RFC 7638), whatever name it bears in the file.
    const thumbprint = async (x) => toUrl(base64(await digest(utf8(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`))));
    const named = async ({ x }) => ({ x, kid: await thumbprint(x) });
    const trusted = await Promise.all([parsed.keys ?? parsed].flat().filter(isKey).map(named));
    if (trusted.length === 0) return { code: 2, lines: ['there is no Ed25519 key among the keys given'] };
    const verified = await verifyCertificate(jsonOf(utf8(certificate), 'the certificate'), trusted);
    return { code: 0, lines: describe(verified).map(printable), verified };
  } catch ({ reason, message }) {
    if (reason === undefined) return { code: 2, lines: [`cannot be checked: ${message}`] };
    return { code: 1, lines: [printable(`REFUSED (${reason}): ${message}`)], reason };
  }
}

const [, program, file, option, keys] = globalThis.process?.argv ?? [];
const { existsSync, readFileSync, realpathSync } = program === undefined ? {} : await import('node:fs');
if (existsSync?.(program) && import.meta.url === (await import('node:url')).pathToFileURL(realpathSync(program)).href) {
  let result = { code: 2, lines: ['usage: node verify.mjs CERT.json --key KEYS.json'] };
  try {
    if (option === '--key') result = await check(readFileSync(file, 'utf8'), readFileSync(keys, 'utf8'));
  } catch ({ message }) {
    result.lines = [message];
  }
  (result.code === 0 ? console.log : console.error)(result.lines.join('\n'));
  process.exitCode = result.code;
}
