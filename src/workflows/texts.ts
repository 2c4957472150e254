/** What operators read of an account in Temporal's Web UI, once its codec has opened it. Nothing personal is said. */
import { deadlineOf, type Hold, type Lifecycle, type LifecycleAction, type Wake } from '../lifecycle';

/** `2026-12-06 13:35:00 UTC` */
export function readable(instant: string): string {
  return `${instant.slice(0, 10)} ${instant.slice(11, 19)} UTC`;
}

export function staticSummary(account: string, region: string): string {
  return `Account ${account} · ${region}`;
}

export function retainedSummary(account: string, region: string): string {
  return `What the law keeps of account ${account} · ${region}`;
}

export function staticDetails(account: string): string {
  return [
    `The course of account \`${account}\`, from its creation to its erasure.`,
    '',
    'Signals and updates: `suspend`, `reinstate`, `close`, `reopen`, `changePolicy`, `placeHold`, `releaseHold`.',
    'A signal that does not apply is ignored and leaves an audit entry.',
  ].join('\n');
}

const actionTexts: Readonly<Record<LifecycleAction, string>> = {
  'account.created': 'created',
  'account.suspended': 'suspended',
  'account.cause-added': 'suspended for another reason',
  'account.cause-resolved': 'one cause resolved',
  'account.reinstated': 'reinstated',
  'account.expired': 'closed, data kept until the expiry period ends',
  'account.reopened': 'reopened',
  'account.erasure-started': 'erasure begins',
  'account.erasure-paused': 'erasure waits for what is held',
  'account.erased': 'erased',
  'account.message-ignored': 'message ignored',
  'account.record-restored': 'the record is put right after a restore',
  'policy.changed': 'policy changed',
  'hold.placed': 'legal hold placed',
  'hold.released': 'legal hold released',
};

export function recordSummary(seq: number, action: LifecycleAction): string {
  return `Record step ${seq}: ${actionTexts[action]}`;
}

export function waitSummary(wake: Wake): string {
  const at = readable(wake.at);
  if (wake.for === 'endGracePeriod') return `Grace period ends: closes about ${at}`;
  if (wake.for === 'beginErasure') return `Expiry period ends: erases about ${at}`;
  return `Legal hold ends ${at}`;
}

/** The account's standing, in Markdown. */
export function currentDetails(lifecycle: Lifecycle, seq: number, remark?: string): string {
  const deadline = deadlineOf(lifecycle);
  const lines = [`**${lifecycle.state}** since ${readable(lifecycle.since)} · step ${seq}`];
  if (lifecycle.causes.length > 0) lines.push(`- causes: ${lifecycle.causes.map((cause) => cause.reason).join(', ')}`);
  if (lifecycle.closure !== undefined) lines.push(`- closure: ${lifecycle.closure}`);
  if (deadline !== undefined) lines.push(`- next: ${deadline.action} at ${readable(deadline.at)}`);
  if (lifecycle.erasingSince !== undefined) lines.push(`- erasure began ${readable(lifecycle.erasingSince)}`);
  if (lifecycle.holds.length > 0) lines.push(`- legal holds: ${lifecycle.holds.map(holdText).join('; ')}`);
  if (remark !== undefined) lines.push(`- ${remark}`);
  return lines.join('\n');
}

function holdText(hold: Hold): string {
  return hold.until === undefined ? hold.id : `${hold.id} until ${readable(hold.until)}`;
}
