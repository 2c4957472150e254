// The house's arrows: api and workers -> domain folders -> lifecycle. Workflows know lifecycle and the types of activities.
const notTypes = ['type-only'];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycle',
      comment: 'Two modules that need each other are one module, or lack a third. Cycles of types count too.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphan',
      comment: 'Nothing imports it and it imports nothing: dead, or not wired yet.',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: '\\.d\\.ts$' },
      to: {},
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'declared-dependencies',
      comment: 'A package that only came along with another may leave with it.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'], dependencyTypesNot: notTypes },
    },
    {
      name: 'no-dev-package-in-production',
      comment: 'The image holds no development packages. The embedded servers and dev.ts never run in it.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(embedded/|dev\\.ts$)' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: notTypes },
    },
    {
      name: 'source-stands-alone',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|scripts)/' },
    },
    {
      name: 'through-the-index',
      comment: "A folder's inside is its own; what others may use is exported from its index.ts.",
      severity: 'error',
      from: { path: '^src/([^/]+)/' },
      to: { path: '^src/[^/]+/', pathNot: ['^src/$1/', '^src/[^/]+/index\\.tsx?$', '^src/lifecycle/schemas\\.ts$'] },
    },
    {
      name: 'through-the-index-from-outside',
      comment: 'As above, for what only composes. The bundle is made from its entry by path, hence the exception.',
      severity: 'error',
      from: { path: '^(src/[^/]+\\.ts$|scripts/|bench/)' },
      to: {
        path: '^src/[^/]+/',
        pathNot: ['^src/[^/]+/index\\.tsx?$', '^src/workflows/entry\\.ts$', '^src/lifecycle/schemas\\.ts$'],
      },
    },
    {
      name: 'workflows-take-no-schemas',
      comment: 'Every workflow would load a validation library of its own; messages are read by an activity.',
      severity: 'error',
      from: { path: '^src/(workflows/|lifecycle/index)' },
      to: { path: '^src/lifecycle/schemas', dependencyTypesNot: notTypes },
    },
    {
      name: 'lifecycle-is-pure',
      comment: 'What an account is depends on nothing of ours.',
      severity: 'error',
      from: { path: '^src/lifecycle/' },
      to: { path: '^src/', pathNot: '^src/lifecycle/' },
    },
    {
      name: 'lifecycle-runs-anywhere',
      comment:
        'It runs inside the workflow sandbox too, which has no Node modules, and must answer the same in a replay.',
      severity: 'error',
      from: { path: '^src/lifecycle/' },
      to: { dependencyTypes: ['core'], dependencyTypesNot: notTypes },
    },
    {
      name: 'workflows-know-little',
      comment: 'Deterministic code: itself, lifecycle and the types of activities.',
      severity: 'error',
      from: { path: '^src/workflows/' },
      to: { path: '^src/', pathNot: '^src/(workflows|lifecycle|activities)/' },
    },
    {
      name: 'workflows-know-activities-by-type',
      comment: 'An activity imported as a value would run inside the sandbox, unrecorded.',
      severity: 'error',
      from: { path: '^src/workflows/' },
      to: { path: '^src/activities/', dependencyTypesNot: notTypes },
    },
    {
      name: 'workflows-packages',
      comment: 'A package inside the bundle is part of every recorded history; these two are made for that.',
      severity: 'error',
      from: { path: '^src/workflows/' },
      to: { pathNot: ['^src/', '(^|/)node_modules/@temporalio/(workflow|common)/'] },
    },
    {
      name: 'domain-looks-down',
      comment: 'Domain folders do not know who serves or drives them.',
      severity: 'error',
      from: {
        path: '^src/(data|database|audit|siem|access|edge|vault|processors|object-storage|exports|ledger|witnesses|disclosures)/',
      },
      to: { path: '^src/(api|activities|workflows|dashboard|embedded)/' },
    },
    {
      name: 'data-does-not-know-processors',
      comment: 'Erasure never waits for a processor: it writes down whom to tell, and somebody else tells.',
      severity: 'error',
      from: { path: '^src/(data|database|audit|lifecycle)/' },
      to: { path: '^src/processors/' },
    },
    {
      name: 'activities-do-not-know-the-api',
      severity: 'error',
      from: { path: '^src/activities/' },
      to: { path: '^src/(api|dashboard)/' },
    },
    {
      name: 'embedded-is-for-developers',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(embedded/|dev\\.ts$)' },
      to: { path: '^src/embedded/' },
    },
    {
      name: 'production-never-reaches-embedded',
      comment: 'Not even through others: production refuses to start without its own servers rather than bring toys.',
      severity: 'error',
      from: { path: '^src/(server|worker)\\.ts$' },
      to: { path: '^src/embedded/', reachable: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage|\\.ablauf|\\.ci)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['node', 'require', 'import', 'types', 'default'],
      extensions: ['.ts', '.tsx', '.js', '.cjs', '.mjs', '.json', '.d.ts'],
    },
  },
};
