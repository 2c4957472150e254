/** The database driver as the folders that store things use it. */
export { native } from './native';
