#!/usr/bin/env node
// Must come before anything touches the thread pool: each running DuckDB query holds one of its threads (docs/decisions).
process.env['UV_THREADPOOL_SIZE'] ??= '16';

const { run } = await import('./cli/cli.ts');
process.exitCode = await run(process.argv.slice(2));

export {};
