// Programs that the harness runs to their end.

import { execFile } from 'node:child_process';

/** Runs one, with a text for its standard input. @returns standard output @throws with what it wrote to standard error */
export async function run(file: string, args: readonly string[], input = ''): Promise<string> {
  return await new Promise((resolve, reject) => {
    const child = execFile(file, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${file} ${args.join(' ')}: ${stderr.trim() || error.message}`));
    });
    child.stdin?.on('error', () => {}).end(input);
  });
}

/** Standard error of one that ends well. @throws as `run` */
export async function warningsOf(file: string, args: readonly string[], input: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    const child = execFile(file, args, { encoding: 'utf8' }, (error, _, stderr) => {
      if (error === null) resolve(stderr);
      else reject(new Error(`${file} ${args.join(' ')}: ${stderr.trim() || error.message}`));
    });
    child.stdin?.on('error', () => {}).end(input);
  });
}
