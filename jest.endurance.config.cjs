/** What takes too long for every change: `npm run test:endurance`. */
/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.cjs'),
  testMatch: ['<rootDir>/test/endurance/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
};
