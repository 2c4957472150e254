import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', '.ablauf/', 'node_modules/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' } },
  {
    files: ['{src,test,bench,scripts}/**/*.{ts,tsx}'],
    extends: [eslint.configs.recommended, tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/consistent-type-exports': ['error', { fixMixedExportsWithInlineTypeSpecifier: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
      // A leading underscore is how a parameter says that only its position matters (Express's four-argument error handler).
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      // Numbers print the same everywhere, so a template may hold them; objects, booleans and null still may not.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // mongoose and the MongoDB driver declare their options as classes, and document object literals for them.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // An empty string, from the environment or a form, is as good as none: `||` says that and `??` does not.
      '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: { string: true } }],
      // `() => close()` returns nothing on purpose; braces around it would say no more.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // It asks for the `!` that the strict set forbids.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      // An interface may promise a promise (an activity, an Express handler) where one implementation has nothing to await.
      '@typescript-eslint/require-await': 'off',
      // Express 5 forwards a rejected handler to the error handler, so an async function is safe where it wants void.
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
    },
  },
  {
    // Configuration and small scripts that run as they are, without a compiler: no types to check against.
    files: ['**/*.{js,cjs,mjs}'],
    extends: [eslint.configs.recommended],
    languageOptions: {
      globals: {
        console: 'readonly',
        process: 'readonly',
        module: 'writable',
        require: 'readonly',
        __dirname: 'readonly',
      },
    },
  },
  {
    // Replay runs this code again, perhaps years later: whatever is not a pure function of the history breaks it.
    // Arrows between our folders are dependency-cruiser's; this one catches the slip while it is being typed.
    files: ['src/workflows/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['**/activities', '**/activities/*'],
              allowTypeImports: true,
              message: 'Workflows know activities by their types only: import type, and call through proxyActivities.',
            },
            {
              group: [
                'node:*',
                '@temporalio/activity',
                '@temporalio/client',
                '@temporalio/worker',
                '@temporalio/testing',
              ],
              message: 'Not available, or not deterministic, inside the workflow sandbox.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['src/lifecycle/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [{ group: ['../*'], message: 'lifecycle is pure: it imports nothing of ours.' }] },
      ],
      // The clock is an argument here: the same code decides in a replay, in a test and in the API.
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Take the instant as an argument.' },
      ],
    },
  },
  {
    // Programs a person runs speak on the console; the service itself logs through pino.
    files: ['{bench,scripts}/**/*.ts', '.ci/*.mjs', 'src/dev.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    // Runs in browsers too: what it may use without importing it is what both have.
    files: ['tools/*.mjs'],
    languageOptions: {
      globals: Object.fromEntries(
        ['Blob', 'TextDecoder', 'TextEncoder', 'atob', 'btoa', 'crypto'].map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    // expect(mock.method).toHaveBeenCalled() names a method without calling it.
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/unbound-method': 'off' },
  },
);
