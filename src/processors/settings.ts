import type { TargetRules } from './addresses';

/** What a deployment says of its processors. */
export interface ProcessorSettings extends TargetRules {
  /** Where processors reach this deployment's API (`ABLAUF_PUBLIC_URL`). Without it there are no callbacks. */
  readonly publicUrl?: string;
}

/** Where the callbacks of a request are sent. */
export function callbackUrlOf(publicUrl: string, request: string): string {
  return `${publicUrl.replace(/\/+$/, '')}/v1/processors/callbacks/${request}`;
}
