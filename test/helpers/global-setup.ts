export default function globalSetup(): void {
  // Nothing is shared between test files yet.
}
