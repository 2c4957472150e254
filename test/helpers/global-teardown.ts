export default function globalTeardown(): void {
  // Nothing is shared between test files yet.
}
