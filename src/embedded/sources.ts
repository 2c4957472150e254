/** Where an executable was found. */
export type ExecutableSource = 'PATH' | 'environment' | 'cache' | 'download' | 'registry';

/** What every source needs to know. */
export interface FetchOptions {
  env: NodeJS.ProcessEnv;
  /** Told in a few words what is being fetched, as it happens. */
  onProgress: (text: string) => void;
  signal?: AbortSignal | undefined;
}
