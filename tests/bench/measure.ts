import { readFileSync } from 'node:fs';

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

export function quantiles(values: readonly number[]): { p50: number; p99: number; p999: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (quantile: number): number =>
    Number((sorted[Math.floor(quantile * (sorted.length - 1))] ?? Number.NaN).toFixed(2));
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}

/** Keeps `width` calls of `run` in flight until it says false. */
export async function inFlight(width: number, run: () => Promise<boolean>): Promise<void> {
  const lane = async (): Promise<void> => {
    while (await run()) {}
  };
  await Promise.all(Array.from({ length: width }, lane));
}

/** Peak resident memory and CPU seconds of a process, from the kernel; zero where there is no /proc. */
export function usageOf(pid: number): { peakRssMb: number; cpuSeconds: number } {
  try {
    const peakKb = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return {
      peakRssMb: Math.round(Number(peakKb) / 1024),
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
    };
  } catch {
    return { peakRssMb: 0, cpuSeconds: 0 };
  }
}
