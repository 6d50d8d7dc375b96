import type { Clock, Timer } from '../../../src/lib/clock.ts';
import type { Epoch, EpochReport } from './epoch.ts';
import type { EngineSettings } from './settings.ts';

/** Timers of the platform take no more than 2^31 − 1 ms. */
const MOST_WAIT_MS = 86_400_000;

/**
 * When epochs run (DESIGN D11); `epoch.ts` says what one does. Each is one synchronous slice, so whatever runs between two (reads, DDL, checkpoints)
 * sees one consistent moment. While there is no input an epoch begins only when the clock alone changes something: a partition has
 * become idle, or a query asked to be woken.
 */
export class EpochLoop {
  readonly #epoch: Epoch;
  readonly #clock: Clock;
  readonly #settings: EngineSettings;
  readonly #run: () => EpochReport;
  readonly #afterEpoch: (report: EpochReport) => void;
  #started = false;
  #stopped = false;
  #soon: NodeJS.Immediate | null = null;
  #timer: Timer | null = null;
  /** For what happens by the clock. */
  #alarm: Timer | null = null;
  #lastBeganMs = Number.NEGATIVE_INFINITY;

  /** `run` runs an epoch, in all shards if there are several. */
  constructor(
    parts: { epoch: Epoch; clock: Clock; settings: EngineSettings },
    run: () => EpochReport,
    afterEpoch: (report: EpochReport) => void,
  ) {
    this.#epoch = parts.epoch;
    this.#clock = parts.clock;
    this.#settings = parts.settings;
    this.#run = run;
    this.#afterEpoch = afterEpoch;
  }

  start(): void {
    this.#started = true;
    this.wake();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#soon !== null) clearImmediate(this.#soon);
    this.#timer?.cancel();
    this.#alarm?.cancel();
  }

  /**
   * There may be something to do. While the log is far ahead (here, or `behind` in another shard), at once; else when the last epoch is long
   * enough ago.
   */
  wake(behind = false): void {
    if (!this.#started || this.#stopped || this.#soon !== null) return;
    const waitMs = this.#lastBeganMs + this.#settings.epochIntervalMs - this.#clock.monotonicMs();
    if (waitMs <= 0 || behind || this.#epoch.behind) {
      this.#timer?.cancel();
      this.#timer = null;
      this.#soon = setImmediate(() => {
        this.#soon = null;
        this.#advance();
      });
    } else if (this.#timer === null) {
      this.#timer = this.#clock.setTimeout(() => {
        this.#timer = null;
        this.#advance();
      }, waitMs);
    }
  }

  #advance(): void {
    if (this.#stopped) return;
    this.#lastBeganMs = this.#clock.monotonicMs();
    const report = this.#run();
    this.#setAlarm(report.dueInMs);
    this.#afterEpoch(report);
    if (report.worked && report.more) this.wake(report.behind);
  }

  #setAlarm(waitMs: number): void {
    this.#alarm?.cancel();
    this.#alarm = null;
    if (waitMs === Number.POSITIVE_INFINITY) return;
    // What is due now waits for the next epoch all the same, so that epochs stay apart; and a timer holds no more than that.
    const wait = Math.min(Math.max(waitMs, this.#settings.epochIntervalMs), MOST_WAIT_MS);
    this.#alarm = this.#clock.setTimeout(() => {
      this.#alarm = null;
      this.wake();
    }, wait);
  }
}
