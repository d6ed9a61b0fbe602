import { admin, startAssay } from './assay'
import { people } from './fixtures'

/** One server for all tests but those that stop it. Its address reaches the tests through the environment. */
export default async function setup() {
  const running = await startAssay()
  process.env.ASSAY_UI_URL = running.url
  await addPeople(running.url)
  return () => running.close()
}

async function addPeople(url: string) {
  const send = async (path: string, body: unknown, token?: string) => {
    const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) }
    const response = await fetch(`${url}/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response.json()
  }
  const { access_token } = await send('/auth/login', admin)
  const roles = { reviewer: 'admin', analyst: 'analyst', viewer: 'viewer' } as const
  for (const [name, role] of Object.entries(roles)) {
    const person = people[name as keyof typeof roles]
    await send('/users', { ...person, full_name: `The ${name}`, role }, access_token)
  }
}
