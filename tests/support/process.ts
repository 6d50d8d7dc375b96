import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './root.ts';

const MAIN = join(root, 'dist/src/main.js');

export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'streamline-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A server in a process of its own, as a user starts it, on ports it picked. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly kafka: string;
  readonly http: string;
  readonly pg: string;
  readonly stderr: string[];

  private constructor(child: ChildProcess, ready: { kafka: string; http: string; pg: string }, stderr: string[]) {
    this.#child = child;
    this.kafka = ready.kafka;
    this.http = ready.http;
    this.pg = ready.pg;
    this.stderr = stderr;
  }

  /** `env` comes on top of this process's. */
  static start(
    dataDir: string | null,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<ServerProcess> {
    const where = dataDir === null ? ['--in-memory'] : ['--data-dir', dataDir];
    const listen = ['--kafka-listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0', '--pg-listen', '127.0.0.1:0'];
    const child = spawn(
      process.execPath,
      [MAIN, 'start', ...where, ...listen, '--group-initial-rebalance-delay-ms', '0', ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...env },
      },
    );
    const stderr: string[] = [];
    child.stderr?.setEncoding('utf8').on('data', (text: string) => stderr.push(text));
    return new Promise((done, fail) => {
      let out = '';
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        out += text;
        const line = out.split('\n').find((one) => one.startsWith('{"ready":true'));
        if (line !== undefined && out.includes('\n')) done(new ServerProcess(child, JSON.parse(line), stderr));
      });
      child.once('exit', (code, signal) =>
        fail(new Error(`the server ended with ${code ?? signal} before it was ready:\n${stderr.join('')}`)),
      );
      child.once('error', fail);
    });
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Stops the process where it stands (SIGSTOP), or lets it go on (SIGCONT). */
  pause(on: boolean): void {
    this.#child.kill(on ? 'SIGSTOP' : 'SIGCONT');
  }

  /** kill −9, and waits until the process is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  #end(signal: NodeJS.Signals): Promise<number | null> {
    if (!this.alive) return Promise.resolve(this.#child.exitCode);
    return new Promise((done) => {
      this.#child.once('exit', (code) => done(code));
      this.#child.kill(signal);
    });
  }

  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; json: any; text: string }> {
    const response = await fetch(`http://${this.http}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {}
    return { status: response.status, json, text };
  }

  /** Results of statements; throws with the problem when one fails. */
  async sql(sql: string, params: readonly unknown[] = []): Promise<any[]> {
    const { status, json, text } = await this.request('POST', '/api/v1/sql', { sql, params });
    if (status !== 200) throw new Error(`${status} ${text}`);
    return json.results;
  }

  /** Rows of one SELECT. */
  async rows(sql: string, params: readonly unknown[] = []): Promise<any[][]> {
    const results = await this.sql(sql, params);
    return results[results.length - 1].rows;
  }

  async produce(topic: string, values: readonly unknown[]): Promise<void> {
    const { status, text } = await this.request('POST', `/api/v1/topics/${topic}/records`, {
      records: values.map((value) => ({ value })),
    });
    if (status !== 200) throw new Error(`${status} ${text}`);
  }
}
