import type { ChildExit } from './child';
import type { ExecutableSource } from './sources';

/** An embedded server that answers. */
export interface RunningServer {
  /** For people: which program in which version, and where it came from. */
  description: string;
  source: ExecutableSource;
  pid: number;
  /** Settles with how the server ended, whether it was stopped or not; it never rejects. */
  exited: Promise<ChildExit>;
  /** Stops the server in order, and ends it if it does not within five seconds. What was acknowledged is kept. */
  stop(): Promise<void>;
}
