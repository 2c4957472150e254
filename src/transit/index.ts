/** What travels: which connections may be plain (R21), and serving over TLS. */
export { forbiddenHostOf, hostOfAddress, insecureOptionOf, isLoopback, mongodbHosts, speaksTls } from './hosts';
export { flawOfCertificate, flawOfPair, type ClientTls } from './certificates';
export { createSecuredServer, type ServerTls } from './serve';
