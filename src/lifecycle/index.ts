/** What an account is and what may become of it. Pure; imports nothing of ours. */
export * from './terms';
export * from './duration';
export type { Command, CommandBody, CommandName } from './schemas';
export * from './table';
export * from './deadlines';
export * from './policy';
export * from './holds';
export * from './decide';
export * from './access';
export * from './regions';
