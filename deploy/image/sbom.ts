// Prints what the image is made of, as CycloneDX: node deploy/image/sbom.ts ROOTFS INPUTS
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const [root = '', inputsFile = ''] = process.argv.slice(2)

interface Component {
  readonly type: 'application' | 'library' | 'platform'
  readonly name: string
  readonly version: string
  readonly purl: string
  readonly licenses?: readonly { readonly expression: string }[]
}

interface Package {
  readonly name: string
  readonly version: string
  readonly license?: string
}

const own = JSON.parse(read('usr/lib/kube-shunt/package.json')) as Package
const inputs = JSON.parse(readFileSync(inputsFile, 'utf8')) as readonly Package[]
const document = {
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  version: 1,
  metadata: { component: npmComponent(own, 'application') },
  components: [
    runtime(),
    ...inputs.map((input) => npmComponent(input, 'library')),
    ...debianComponents(),
  ],
}
process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`)

function npmComponent({ name, version, license }: Package, type: Component['type']): Component {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`
  const licenses = license === undefined ? {} : { licenses: [{ expression: license }] }
  return { type, name, version, purl, ...licenses }
}

function runtime(): Component {
  const version = process.versions.node
  return { type: 'platform', name: 'node', version, purl: `pkg:generic/node@${version}` }
}

function debianComponents(): Component[] {
  const directory = join(root, 'var/lib/dpkg/status.d')
  return readdirSync(directory)
    .sort()
    .map((file) => {
      const text = readFileSync(join(directory, file), 'utf8')
      const field = (name: string): string =>
        new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1] ?? ''
      const [name, version] = [field('Package'), field('Version')]
      const about = `arch=${field('Architecture')}&distro=debian-12`
      const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${about}`
      return { type: 'library', name, version, purl }
    })
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
