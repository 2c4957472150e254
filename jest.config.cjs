// Everything is stated here: a stray .swcrc must not change what the tests run.
const swc = (syntax) => [
  '@swc/jest',
  {
    swcrc: false,
    jsc: { parser: { syntax }, target: 'es2023' },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
  },
];

/** Packages that are ECMAScript modules only. Node requires them as they are; jest's own `require` does not, before Node 24.9. */
const modulesOnly = ['jose', 'oauth4webapi', 'oidc-provider', 'openid-client'];

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // They have a configuration of their own: jest.endurance.config.cjs.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/endurance/'],
  // dist holds a second copy of every module once built; neither may shadow the sources.
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.ablauf/'],
  transform: { '^.+\\.tsx?$': swc('typescript'), '^.+\\.m?js$': swc('ecmascript') },
  transformIgnorePatterns: [`/node_modules/(?!(${modulesOnly.join('|')})/)`],
  globalSetup: '<rootDir>/test/helpers/global-setup.ts',
  globalTeardown: '<rootDir>/test/helpers/global-teardown.ts',
  // The servers a test talks to are real and shared by every file; more workers only make them wait for each other.
  maxWorkers: 2,
  testTimeout: 60_000,
};
