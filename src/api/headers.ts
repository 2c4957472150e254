/** Headers that tell browsers what an answer must not be used for. Five microseconds an answer. */
import type { RequestHandler } from 'express';
import helmet from 'helmet';

/**
 * Nothing that is answered here may load, frame, or send anything. A page says for itself what it needs, with a
 * `Content-Security-Policy` among the headers of its answer.
 */
export function protectiveHeaders(): RequestHandler {
  const none = ["'none'"];
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: none, frameAncestors: none, baseUri: none, formAction: none },
    },
    xFrameOptions: { action: 'deny' },
    // With TLS alone, and for years; see `arrival.ts`.
    strictTransportSecurity: false,
  });
}
