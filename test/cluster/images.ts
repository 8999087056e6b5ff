// Programs of this machine that stand for images.

import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildInto } from '../../scripts/build.ts';
import type { Container } from './objects.ts';

/** As much of an image as a process needs. */
export interface Image {
  readonly entrypoint: readonly string[];
  readonly command?: readonly string[];
  /** Files and folders of this machine, and where they are in the container, read-only. */
  readonly mounts: readonly (readonly [source: string, target: string])[];
  readonly user?: number;
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** By the beginning of the name without tag and digest: the longest that fits stands for it. */
export type Images = ReadonlyMap<string, Image>;

export function findImage(images: Images, { image }: Pick<Container, 'image'>): Image | undefined {
  const name = image.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
  const fitting = [...images.keys()].filter((key) => name.startsWith(key));
  return images.get(fitting.toSorted((one, other) => other.length - one.length)[0] ?? '');
}

const ROOT = join(import.meta.dirname, '../..');

/** Where the suite has its echo server. */
const ECHO = ['registry.k8s.io/gateway-api/echo-basic', 'gcr.io/k8s-staging-gateway-api/echo-basic'];

/** @param echo path of the suite's server; undefined: no such image */
export function standardImages(holdfast: string, echo: string | undefined): Images {
  const mounts = [[echo ?? '', '/echo-basic']] as const;
  const images = new Map<string, Image>([['holdfast', imageOfHoldfast(holdfast)]]);
  if (echo !== undefined) for (const name of ECHO) images.set(name, { entrypoint: ['/echo-basic'], mounts });
  // The suite waits for it, and asks it something only where UDPRoute is claimed.
  images.set('registry.k8s.io/coredns/coredns', IDLE);
  return images;
}

/** Runs, and does nothing. */
const IDLE: Image = {
  entrypoint: ['node', '-e', 'setInterval(() => {}, 1e6)', '--'],
  mounts: [[process.execPath, '/usr/local/bin/node']],
  user: 65532,
};

/** As the Dockerfile says. @param folder where `compileHoldfast` has put it */
function imageOfHoldfast(folder: string): Image {
  return {
    entrypoint: ['node', '--disable-sigusr1', '/holdfast/dist/main.js'],
    command: ['serve', '--config', '/etc/holdfast/holdfast.yaml'],
    mounts: [
      [process.execPath, '/usr/local/bin/node'],
      [folder, '/holdfast'],
    ],
    user: 65532,
  };
}

/** The program of this checkout, built as for the image. */
export async function compileHoldfast(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  await buildInto(join(folder, 'dist'));
}
