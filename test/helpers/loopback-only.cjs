/**
 * Loaded before anything else (`node --require`) into a process that is fed with addresses nobody chose: it connects to this
 * machine and to nothing else, and looks no name up.
 */
const dns = require('node:dns');
const net = require('node:net');

const loopback = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;

function refused(host) {
  return Object.assign(new Error(`connect ENETUNREACH ${host}: only this machine is to be reached`), {
    code: 'ENETUNREACH',
  });
}

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  // Either options, or port and host; `net.connect` hands on what it was given as one list.
  const [first] = Array.isArray(given[0]) ? given[0] : given;
  const host = typeof first === 'object' && first !== null ? (first.path ?? first.host) : undefined;
  const isLocal = host === undefined || first.path !== undefined || loopback.test(host);
  if (isLocal) return connect.apply(this, given);
  process.nextTick(() => this.destroy(refused(host)));
  return this;
};

const lookup = dns.lookup;
dns.lookup = function (name, ...rest) {
  if (loopback.test(name)) return lookup.call(this, name, ...rest);
  const answer = rest.at(-1);
  process.nextTick(() => answer(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' })));
};
const find = dns.promises.lookup;
dns.promises.lookup = async function (name, ...rest) {
  if (loopback.test(name)) return find.call(this, name, ...rest);
  throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' });
};
