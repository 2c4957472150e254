/** What an export's workflow asks of the world. */
import { cancellationSignal } from '@temporalio/activity';
import {
  expireExport,
  exportStands,
  failExport,
  removeBytes,
  removeLeftArchives,
  standardLimits,
  writeExport,
} from '../exports';
import { beating } from './beating';
import type { ActivityDependencies } from './dependencies';

/** Which export; nothing else needs to travel. */
export interface ExportRef {
  readonly exportId: string;
}

/** Few enough for one activity; a sweep asks again. */
const leftAtOnce = { exports: 200 } as const;

/** Writing archives, and removing them. */
export function exportActivities({ store, archives, exportLimits = standardLimits }: ActivityDependencies) {
  return {
    /** Writes an export's archive, from where it was left; see {@link writeExport}. */
    writeExport({ exportId }: ExportRef): Promise<{ expiresAt: string }> {
      return beating(async (tell) => {
        const signal = cancellationSignal();
        const { expiresAt } = await writeExport(store, archives, exportId, exportLimits, {
          progress: tell,
          checkpoint: () => signal.throwIfAborted(),
        });
        return { expiresAt: expiresAt.toISOString() };
      });
    },

    /** Ends an export whose time has passed, and removes its bytes unless a hold keeps them. */
    expireExport({ exportId }: ExportRef): Promise<void> {
      return beating(() => expireExport(store, archives, exportId));
    },

    /** Gives an export up, and removes its bytes unless a hold keeps them. */
    failExport({ exportId, reason }: ExportRef & { readonly reason: string }): Promise<void> {
      return beating(() => failExport(store, archives, exportId, reason));
    },

    /** Removes the bytes of an export that has ended, unless a hold keeps them. @returns whether nothing is left */
    removeExportBytes({ exportId }: ExportRef): Promise<boolean> {
      return beating(() => removeBytes(store, archives, exportId));
    },

    /** Removes what ended exports have left, some at a time. @returns whether there is more */
    removeLeftArchives(): Promise<boolean> {
      return beating(async () => (await removeLeftArchives(store, archives, leftAtOnce)).more);
    },

    /** Whether an export can still be fetched. */
    exportStands({ exportId }: ExportRef): Promise<boolean> {
      return exportStands(store, exportId);
    },
  };
}
