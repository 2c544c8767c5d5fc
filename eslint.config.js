import importX from 'eslint-plugin-import-x'
import tseslint from 'typescript-eslint'

/** What each folder of src/ may import; everything else is an error. */
const mayImport = {
  model: ['model'],
  plan: ['plan', 'model'],
  kube: ['kube', 'model'],
  datapath: ['datapath', 'plan', 'model'],
  devices: ['devices', 'datapath', 'model'],
  reconcile: ['reconcile', 'kube', 'datapath', 'devices', 'plan', 'model', 'metrics', 'health'],
  health: ['health', 'model'],
  metrics: ['metrics', 'datapath', 'health', 'model'],
  cli: ['cli', 'health', 'metrics', 'datapath', 'devices', 'plan', 'model', 'reconcile', 'kube'],
}

const zones = Object.entries(mayImport).map(([folder, allowed]) => ({
  target: `./src/${folder}`,
  from: './src',
  except: [...allowed.map((name) => `./${name}`), './errors.ts', './log.ts'],
  message: `${folder}/ may import only ${allowed.join(', ')} (eslint.config.js)`,
}))

export default tseslint.config(
  { ignores: ['build/', 'node_modules/', 'eslint.config.js', 'prettier.config.js', 'src/launcher.js'] },
  ...tseslint.configs.strictTypeChecked,
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true } },
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver': { node: { extensions: ['.ts', '.js'] } } },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones }],
      'import-x/no-cycle': 'error',
      'import-x/no-default-export': 'error',
      'max-lines': ['error', { max: 300 }],
      'max-lines-per-function': ['error', { max: 40, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 4],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['src/model/**', 'src/plan/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['node:*', 'pino', 'bpf', '@kubernetes/*', 'undici'], message: 'pure core: no I/O' },
          ],
        },
      ],
    },
  },
  {
    files: ['test/**', 'bench/**'],
    rules: { 'max-lines-per-function': 'off', '@typescript-eslint/no-floating-promises': 'off' },
  },
)
