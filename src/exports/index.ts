/** What a customer downloads: making it, keeping it for a while, handing it out, and taking it back (R14, R15). */
export { openArchives } from './archives';
export { registerExports, type ExportDocument } from './documents';
export { expireExport, exportStands, failExport, removeBytes, removeLeftArchives } from './end';
export { archiveBytes } from './file';
export { openGridFsArchives } from './gridfs';
export { outsideOf } from './outside';
export { gzipLevel } from './part';
export { exportedDataSets, mayExport, requestExport } from './request';
export { openS3Archives } from './s3';
export type { ArchiveStorage } from './storage';
export { standardLimits, writeExport, type ExportLimits } from './write';
