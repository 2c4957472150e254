const pause = 20;

/** Looks again and again until there is something to see. A look that fails counts as nothing seen. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, patience = 90_000): Promise<T> {
  for (const end = Date.now() + patience; ;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`it did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
