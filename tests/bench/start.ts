import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import type { Bench } from './bench.ts';
import { median, usageOf } from './measure.ts';

const RUNS = 7;

/** From spawning the process to its ready line, on an empty directory; and its memory with one idle pipeline. */
export const bench: Bench = async (report) => {
  const startMs: number[] = [];
  let rssMb = 0;
  for (let run = 0; run < RUNS; run++) {
    const directory = temporaryDirectory();
    const started = performance.now();
    const server = await ServerProcess.start(directory.path);
    startMs.push(performance.now() - started);
    await server.sql(
      "CREATE SOURCE e (k BIGINT) WITH (topic = 'e'); CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM e; FLUSH",
    );
    rssMb = usageOf(server.pid).peakRssMb;
    await server.stop();
    directory.remove();
  }
  report({ bench: 'start', readyMs: Math.round(median(startMs)), peakRssMbWithOnePipeline: rssMb });
};
