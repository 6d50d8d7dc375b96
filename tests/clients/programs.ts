import { spawn, spawnSync } from 'node:child_process';

/** Whether a program can be started. */
export const hasProgram = (name: string, flag: string): boolean => spawnSync(name, [flag]).error === undefined;

/** Runs a program to its end; rejects with what it said on stderr when it fails. */
export function run(
  program: string,
  args: readonly string[],
  input = '',
  timeoutMs = 60_000,
  where: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { timeout: timeoutMs, cwd: where.cwd, env: { ...process.env, ...where.env } });
    let out = '';
    let errors = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(out);
      else
        reject(
          new Error(
            `${program} ${args.join(' ')} ended with ${code ?? signal}: ${errors.slice(-3000)}${out.slice(-500)}`,
          ),
        );
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** Says why tests do not run; vitest shows the name of what was skipped only. */
export function explainSkip(what: string, reason: string): void {
  process.stderr.write(`skipped: ${what}: ${reason}\n`);
}
