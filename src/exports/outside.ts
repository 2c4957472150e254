import type { OutsideStore } from '../data';
import type { ArchiveStorage } from './storage';

/** The places outside the database where something of accounts lies: what is in the database itself is found there. */
export function outsideOf(archives: ArchiveStorage): OutsideStore[] {
  return archives.kind === 'gridfs' ? [] : [{ ...archives, name: `exports in ${archives.kind}` }];
}
