/** Object storages that speak S3: exports, the ledger of erasures and witnesses each lie in one, if so configured. */
export { connectS3, type S3Options } from './s3';
