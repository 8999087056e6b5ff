// The soak run in one command: mixed load for minutes, with memory and latency drawn.
//
// npm run soak [-- --minutes N | --seconds N] [--json] [--log FILE]

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { makeCredentials } from './credentials.ts';
import { machineFacts } from './machine.ts';
import { freePort } from '../test/support/programs.ts';
import { type Ending, SoakedGateway } from './soak/gateway.ts';
import { GROUPS } from './soak/kinds.ts';
import { holds, soakChart, soakPage, type SoakRun } from './soak/report.ts';
import { type Sample, seriesOf, sum, takeSample } from './soak/sampling.ts';
import { type Report, writeSetting } from './soak/setting.ts';
import { Tally } from './soak/tally.ts';
import { judge } from './soak/verdict.ts';

const MIB = 1024 * 1024;
/** Seconds. */
const DOCUMENTED = 600;
const RELOAD_EVERY = 30;
/** Seconds after the load in which connections and files must be gone. */
const SETTLING = 20;

/** Ctrl-C ends the load early; what was measured until then is judged. A second one ends at once. */
const interrupted = new AbortController();
process.on('SIGINT', () => {
  if (interrupted.signal.aborted) process.exit(130);
  interrupted.abort();
});

class Soak {
  readonly #seconds: number;
  readonly #log: string | undefined;
  readonly #folder = mkdtempSync(join(tmpdir(), 'holdfast-soak-'));
  readonly #children: ChildProcess[] = [];
  readonly #tally = new Tally();
  readonly #samples: Sample[] = [];
  readonly #reloads: number[] = [];
  #gateway: SoakedGateway | undefined;

  /** @param log a file that gets a copy of the gateway's log */
  constructor(seconds: number, log?: string) {
    this.#seconds = seconds;
    this.#log = log;
  }

  async run(): Promise<SoakRun> {
    try {
      const gateway = await this.#start();
      const before = await takeSample(gateway, 0);
      const seconds = await this.#load(gateway);
      const after = await this.#settle(gateway, before);
      const { body } = await gateway.page('/metrics');
      const restarts = sum(seriesOf(body, 'holdfast_worker_restarts_total'));
      return this.#report(gateway, { before, after, restarts, seconds, ...(await gateway.stop()) });
    } finally {
      await this.#gateway?.stop();
      for (const child of this.#children) child.kill();
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  async #start(): Promise<SoakedGateway> {
    const made = makeCredentials(this.#folder);
    const upstream = this.#fork('upstream');
    type Serving = { readonly serving: number; readonly invalid: number; readonly modern: number };
    const [{ serving, invalid, modern }] = (await once(upstream, 'message')) as [Serving];
    const [port, telemetry, closed] = await Promise.all([freePort(), freePort(), freePort()]);
    writeSetting(join(this.#folder, 'setting.json'), port, made);
    const ports = { gateway: port, telemetry, upstream: serving, invalid, modern, closed };
    this.#gateway = await SoakedGateway.start(this.#folder, ports, made, this.#log);
    return this.#gateway;
  }

  #fork(script: string, ...args: string[]): ChildProcess {
    const child = fork(join(import.meta.dirname, `soak/${script}.ts`), args);
    this.#children.push(child);
    child.on('error', (error) => this.#unexpected(`${script}: ${error.message}`));
    return child;
  }

  #unexpected(text: string): void {
    this.#tally.add({ latencies: {}, unexpected: [text], late: 0 });
  }

  /** @returns seconds that it lasted */
  async #load(gateway: SoakedGateway): Promise<number> {
    const started = performance.now();
    const elapsed = () => (performance.now() - started) / 1000;
    const loads = Object.keys(GROUPS).map((group) => {
      const child = this.#fork('load', group, join(this.#folder, 'setting.json'));
      child.on('message', (report) => this.#tally.add(report as Report));
      return { child, ended: once(child, 'exit') };
    });
    while (elapsed() < this.#seconds && !interrupted.signal.aborted && gateway.alive) {
      await pause(1000, undefined, { signal: interrupted.signal }).catch(() => {});
      await this.#look(gateway, elapsed());
    }
    const lasted = elapsed();
    for (const { child } of loads) child.send('stop');
    for (const [code] of await Promise.all(loads.map(({ ended }) => ended))) {
      if (code !== 0) this.#unexpected(`a load process ended with ${code}`);
    }
    return lasted;
  }

  async #look(gateway: SoakedGateway, at: number): Promise<void> {
    try {
      const sample = await takeSample(gateway, at);
      this.#samples.push(sample);
      if (at >= (this.#reloads.length + 1) * RELOAD_EVERY) {
        this.#reloads.push(at);
        await gateway.reload();
      }
      const step = this.#tally.tick(at);
      if (step === undefined) return;
      const { resident, connections, utilization } = sample;
      const facts = [
        `${at.toFixed(0).padStart(4)} s`,
        `${step.perSecond.toFixed(0)}/s`,
        `p50 ${step.p50.toFixed(1)} ms`,
        `p99 ${step.p99.toFixed(1)} ms`,
        `${(resident / MIB).toFixed(0)} MiB`,
        `${connections} connections`,
        `busy ${(utilization * 100).toFixed(0)} %`,
        `${this.#tally.unexpected.length} unexpected`,
      ];
      console.error(facts.join('  '));
    } catch (error) {
      this.#unexpected(`the gateway could not be looked at: ${(error as Error).message}`);
    }
  }

  /** Waits until connections to both sides are closed; upstream connections are kept for some seconds. */
  async #settle(gateway: SoakedGateway, before: Sample): Promise<Sample> {
    for (let waited = 0; ; waited++) {
      const now = await takeSample(gateway, 0);
      if (now.connections === 0 && now.descriptors <= before.descriptors) return now;
      if (waited >= SETTLING) return now;
      await pause(1000);
    }
  }

  #report(
    gateway: SoakedGateway,
    ended: Ending & { before: Sample; after: Sample; restarts: number; seconds: number },
  ): SoakRun {
    const tally = this.#tally;
    const { unexpected, requests } = tally;
    const checks = judge({ ...ended, samples: this.#samples, requests, unexpected, errors: gateway.errors });
    return {
      command: 'npm run soak',
      seconds: ended.seconds,
      samples: this.#samples,
      steps: tally.steps,
      kinds: tally.kinds,
      reloads: this.#reloads,
      late: tally.late,
      checks,
      unexpected: [
        ...unexpected.slice(0, 20),
        ...gateway.errors.slice(0, 20),
        ...ended.stderr.split('\n').filter(Boolean),
      ],
      logLines: gateway.lines,
      facts: machineFacts(),
    };
  }
}

function show(run: SoakRun, json: boolean): void {
  if (json) return console.log(JSON.stringify({ good: holds(run), ...run }));
  for (const { name, count, p50, p99 } of run.kinds) {
    console.log(`${name.padEnd(36)} ${String(count).padStart(7)}  p50 ${p50.toFixed(1)} ms  p99 ${p99.toFixed(1)} ms`);
  }
  console.log(`${run.late} left out, ${run.reloads.length} reloads`);
  for (const { what, found, holds: good } of run.checks) console.log(`${good ? 'holds' : 'FAILS'}  ${what}: ${found}`);
  for (const text of run.unexpected) console.log(`unexpected: ${text}`);
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    seconds: { type: 'string' },
    json: { type: 'boolean', default: false },
    log: { type: 'string' },
  },
});
const seconds = Number(values.seconds ?? Number(values.minutes ?? DOCUMENTED / 60) * 60);
try {
  const run = await new Soak(seconds, values.log).run();
  show(run, values.json);
  process.exitCode = holds(run) ? 0 : 1;
  if (seconds >= DOCUMENTED && !interrupted.signal.aborted) {
    const docs = join(import.meta.dirname, '../docs');
    writeFileSync(join(docs, 'soak.md'), soakPage(run));
    writeFileSync(join(docs, 'soak.svg'), soakChart(run));
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
