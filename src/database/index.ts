/** The database driver as the folders that store things use it. */
export { connect, inTransaction, type ConnectionOptions } from './connection';
export { native } from './native';
