import { Command, CommanderError } from 'commander';
import { asStreamError } from '../lib/errors.ts';
import { VERSION } from '../version.ts';
import { addBench } from './bench.ts';
import { addConsume } from './consume.ts';
import { addProduce } from './produce.ts';
import { addSql } from './sql.ts';
import { addStart } from './start.ts';
import { addTest } from './test.ts';
import { addTopic } from './topic.ts';
import { addView } from './view.ts';

/** Runs one command; returns the exit code: 0, 1 for a failure, 2 for a call that is not understood. */
export async function run(args: readonly string[]): Promise<number> {
  const program = new Command('streamline')
    .description('A Kafka-compatible broker and a streaming SQL database in one process.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ outputError: (message, write) => write(message) });
  for (const add of [addStart, addSql, addTopic, addProduce, addConsume, addView, addTest, addBench]) add(program);
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (thrown.exitCode === 0) return 0;
      return thrown.code.startsWith('commander.') ? 2 : 1;
    }
    printError(thrown);
    return 1;
  }
}

export function printError(thrown: unknown): void {
  const error = asStreamError(thrown);
  const where = error.at === undefined ? '' : ` at line ${error.at.line}, column ${error.at.column}`;
  process.stderr.write(`${error.code}${where}: ${error.message}\n`);
  if (error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
  if (error.code === 'INVARIANT' && process.env['STREAMLINE_STACK'] && error.stack)
    process.stderr.write(`${error.stack}\n`);
}
