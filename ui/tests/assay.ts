// Starts the Assay binary with a data folder and ports of its own.

import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { startPageServer } from './page-server'
import { startScriptedModel } from './scripted-model'

export const admin = { email: 'admin@example.com', password: 'correct-horse-battery' }
export const binary = resolve(process.env.ASSAY_BIN ?? '../target/release/assay')
const servesPages = process.env.UI_FROM_BINARY === '1'

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return port
}

export interface Running {
  /** Where a browser opens the pages. */
  url: string
  /** The process ends as if the machine lost power. */
  kill: () => Promise<void>
  start: () => Promise<void>
  close: () => Promise<void>
}

/** The model that this machine keeps, which `assay model pull` has fetched. */
const local = {
  LLM_PROVIDER: 'gguf',
  LLM_MODEL: undefined,
  ...(process.env.ASSAY_CACHE_DIR ? { ASSAY_CACHE_DIR: process.env.ASSAY_CACHE_DIR } : {}),
  ...(process.env.XDG_CACHE_HOME ? { XDG_CACHE_HOME: process.env.XDG_CACHE_HOME } : {}),
  HOME: process.env.HOME,
}

interface Wanted {
  model?: 'scripted' | 'local'
  /** Other sites that may ask. */
  embedOrigins?: string
  /** The pages come from the program, whatever those of the other tests do: only it speaks with other sites. */
  fromBinary?: boolean
  env?: Record<string, string>
}

/** With a scripted model, unless the local one is wanted. */
export async function startAssay({ model: kind = 'scripted', embedOrigins, fromBinary, env }: Wanted = {}): Promise<Running> {
  const model = await startScriptedModel()
  const folder = mkdtempSync(join(tmpdir(), 'assay-ui-'))
  const port = await freePort()
  const own = `http://127.0.0.1:${port}`
  let child: ChildProcess | undefined

  const start = async () => {
    child = spawn(binary, ['serve'], {
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        DATA_DIR: folder,
        LISTEN: `127.0.0.1:${port}`,
        BACKUP_DIR: join(folder, 'backups'),
        SEED_DEMO_DATA: 'true',
        INIT_ADMIN_EMAIL: admin.email,
        INIT_ADMIN_PASSWORD: admin.password,
        LLM_PROVIDER: 'openai',
        LLM_BASE_URL: model.url,
        LLM_MODEL: 'scripted',
        LLM_API_KEY: 'scripted',
        LLM_CANDIDATES: '0',
        ...(kind === 'local' ? local : {}),
        ...(embedOrigins ? { EMBED_ORIGINS: embedOrigins } : {}),
        EMBEDDING_PROVIDER: 'none',
        LOGIN_TRIES_PER_ADDRESS: '10000',
        ...env,
      },
      stdio: ['ignore', 'ignore', process.env.ASSAY_LOG ? 'inherit' : 'ignore'],
    })
    const failed = new Promise<never>((_, reject) => child?.once('error', reject))
    const deadline = Date.now() + 60_000
    while (Date.now() < deadline) {
      const answer = await Promise.race([fetch(`${own}/health/ready`).catch(() => undefined), failed])
      if (answer?.ok) return
      if (child.exitCode !== null) throw new Error(`${binary} ended with ${child.exitCode}`)
      await new Promise((again) => setTimeout(again, 100))
    }
    throw new Error(`${binary} was not ready within a minute`)
  }
  const kill = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((done) => child?.once('exit', done))
    child.kill('SIGKILL')
    await gone
  }

  await start()
  const pages = servesPages || fromBinary ? undefined : await startPageServer(resolve('dist'), own)
  return {
    url: pages?.url ?? own,
    kill,
    start,
    close: async () => {
      pages?.close()
      await kill()
      model.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export interface FirstRun {
  url: string
  /** What the terminal shows, code and all. */
  address: string
  close: () => Promise<void>
}

/**
 * A program that nobody configured, but for a scripted model in place of one that would have to be fetched. Its pages are its
 * own: where they lead changes when it is set up.
 */
export async function startFirst(): Promise<FirstRun> {
  const model = await startScriptedModel()
  const folder = mkdtempSync(join(tmpdir(), 'assay-ui-first-'))
  const child = spawn(binary, ['serve', '--setup'], {
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      DATA_DIR: folder,
      LISTEN: '127.0.0.1:0',
      LLM_PROVIDER: 'openai',
      LLM_BASE_URL: model.url,
      LLM_MODEL: 'scripted',
      LLM_CANDIDATES: '0',
      EMBEDDING_PROVIDER: 'none',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const said = await new Promise<string>((found, failed) => {
    child.once('exit', (code) => failed(new Error(`${binary} ended with ${code}`)))
    createInterface({ input: child.stderr }).on('line', (line) => {
      const [, address] = /^set Assay up in a browser: (.*)$/.exec(line) ?? []
      if (address) found(address)
    })
  })
  return {
    url: new URL(said).origin,
    address: said,
    close: async () => {
      const gone = new Promise((done) => child.once('exit', done))
      child.kill('SIGKILL')
      await gone
      model.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
