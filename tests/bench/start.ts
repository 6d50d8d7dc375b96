import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import { answering, freePort } from './apache-kafka.ts';
import type { Bench } from './bench.ts';
import { median, usageOf } from './measure.ts';

const RUNS = 7;

/**
 * On an empty directory, from spawning the process to the answer to a first Kafka request and to its ready line (everything
 * is served); and its memory with one idle pipeline.
 */
export const bench: Bench = async (report) => {
  const firstRequestMs: number[] = [];
  const readyMs: number[] = [];
  let rssMb = 0;
  for (let run = 0; run < RUNS; run++) {
    const directory = temporaryDirectory();
    const port = await freePort();
    const started = performance.now();
    const starting = ServerProcess.start(directory.path, ['--kafka-listen', `127.0.0.1:${port}`]);
    await answering(port, () => true);
    firstRequestMs.push(performance.now() - started);
    const server = await starting;
    readyMs.push(performance.now() - started);
    await server.sql(
      "CREATE SOURCE e (k BIGINT) WITH (topic = 'e'); CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM e; FLUSH",
    );
    rssMb = usageOf(server.pid).peakRssMb;
    await server.stop();
    directory.remove();
  }
  report({
    bench: 'start',
    firstRequestMs: Math.round(median(firstRequestMs)),
    readyMs: Math.round(median(readyMs)),
    peakRssMbWithOnePipeline: rssMb,
  });
};
