import type { Store } from '../data';
import type { S3Options } from '../object-storage';
import { openGridFsArchives } from './gridfs';
import { openS3Archives } from './s3';
import type { ArchiveStorage } from './storage';

/** Where this deployment keeps archives: in the object storage it names, else in its database. */
export function openArchives(store: Store, s3: S3Options | undefined): ArchiveStorage {
  return s3 === undefined ? openGridFsArchives(store) : openS3Archives(store, s3);
}
