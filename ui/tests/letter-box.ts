// A mail server that keeps every letter for the test to read: as much of SMTP (RFC 5321) as sending one takes.

import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

export interface LetterBox {
  port: number
  /** Waits for a letter to this address and returns the link in it that works once. */
  linkTo: (email: string) => Promise<string>
  close: () => void
}

export async function openLetterBox(): Promise<LetterBox> {
  const letters: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let letter: string[] | undefined
    const say = (line: string) => socket.write(`${line}\r\n`)
    say('220 letter box')
    createInterface({ input: socket }).on('line', (line) => {
      if (letter && line === '.') {
        letters.push(letter.join('\n'))
        letter = undefined
        say('250 kept')
      } else if (letter) letter.push(line)
      else if (/^data/i.test(line)) {
        letter = []
        say('354 go on')
      } else if (/^quit/i.test(line)) {
        say('221 bye')
        socket.end()
      } else say('250 fine')
    })
    socket.on('error', () => socket.destroy())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    port: (server.address() as AddressInfo).port,
    linkTo: async (email) => {
      for (let tries = 0; tries < 100; tries++) {
        const at = letters.findIndex((letter) => letter.includes(`To: ${email}`))
        const [letter] = at < 0 ? [] : letters.splice(at, 1)
        // Quoted-printable: long lines are folded by `=`, and `=` itself is written in hex.
        const [link] = letter?.replace(/=\n/g, '').replace(/=3D/g, '=').match(/https?:\/\/\S*token=\S+/) ?? []
        if (link) return link
        await new Promise((again) => setTimeout(again, 100))
      }
      throw new Error(`no letter to ${email} in ${letters.join('\n---\n')}`)
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
