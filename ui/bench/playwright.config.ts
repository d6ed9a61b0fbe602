import shared from '../playwright.config'

export default { ...shared, testDir: '.', globalSetup: '../tests/global-setup.ts', outputDir: '../test-results/bench', fullyParallel: false, workers: 1, reporter: 'dot' }
