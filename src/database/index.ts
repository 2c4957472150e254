/** The database driver as the folders that store things use it. */
export { followChanges, type ChangeFeed } from './changes';
export { connect, inTransaction, type ConnectionOptions } from './connection';
export { native } from './native';
export { remember } from './remembered';
