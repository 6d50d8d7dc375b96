import type { JoinResult, SyncResult } from '../../src/consumer/group.ts';
import { GroupCoordinator, type OffsetCommit } from '../../src/consumer/group-coordinator.ts';
import type { GroupSettings } from '../../src/consumer/group-settings.ts';
import type { GroupJournal, GroupRecord, Producer } from '../../src/consumer/journal.ts';
import type { JoinRequest } from '../../src/consumer/membership.ts';
import { FakeClock } from './fake-clock.ts';

/** Keeps what is written; answers at once unless held back. */
export class FakeJournal implements GroupJournal {
  readonly records: GroupRecord[] = [];
  held: (() => void)[] | undefined;
  failing = false;

  write(records: readonly GroupRecord[], done: (ok: boolean) => void, producer?: Producer): void {
    const { producerId } = producer ?? {};
    this.#change(done, () => {
      for (const record of records) {
        this.records.push(producerId === undefined || record.kind !== 'offset' ? record : { ...record, producerId });
      }
    });
  }

  endTransaction({ producerId }: Producer, committed: boolean, done: (ok: boolean) => void): void {
    this.#change(done, () => {
      const all = this.records.splice(0);
      for (const record of all) {
        if (record.kind !== 'offset' || record.producerId !== producerId) this.records.push(record);
      }
      for (const record of all) {
        if (!committed || record.kind !== 'offset' || record.producerId !== producerId) continue;
        const { producerId: _, ...decided } = record;
        this.records.push(decided);
      }
    });
  }

  #change(done: (ok: boolean) => void, change: () => void): void {
    const ok = !this.failing;
    if (ok) change();
    if (this.held === undefined) done(ok);
    else this.held.push(() => done(ok));
  }

  release(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const run of held) run();
  }
}

export const NO_DELAY: Partial<GroupSettings> = { initialRebalanceDelayMs: 0 };

/** A coordinator with a clock and a journal under the test's control. */
export class Rig {
  readonly clock = new FakeClock();
  readonly journal = new FakeJournal();
  readonly coordinator: GroupCoordinator;

  constructor(settings: Partial<GroupSettings> = NO_DELAY) {
    let ids = 0;
    this.coordinator = new GroupCoordinator({
      clock: this.clock,
      journal: this.journal,
      settings,
      newId: () => String(++ids),
    });
    this.coordinator.load([], () => undefined);
  }

  /** Another coordinator over what the journal holds, as after a restart. */
  restart(topics: Readonly<Record<string, string>> = { t: 'T' }): GroupCoordinator {
    const coordinator = new GroupCoordinator({ clock: this.clock, journal: this.journal, settings: NO_DELAY });
    coordinator.load(this.journal.records, (topic) => topics[topic]);
    return coordinator;
  }

  join(request: Partial<JoinRequest> = {}): { result?: JoinResult } {
    const box: { result?: JoinResult } = {};
    this.coordinator.join(joinRequest(request), (result) => {
      if (box.result !== undefined) throw new Error('answered twice');
      box.result = result;
    });
    return box;
  }

  sync(
    memberId: string,
    generation: number,
    assignments: Readonly<Record<string, string>> = {},
    instanceId: string | null = null,
  ): { result?: SyncResult } {
    const box: { result?: SyncResult } = {};
    const request = {
      groupId: 'g',
      memberId,
      instanceId,
      generation,
      protocolType: 'consumer',
      protocolName: null,
      assignments: Object.entries(assignments).map(([id, text]) => ({ memberId: id, assignment: Buffer.from(text) })),
    };
    this.coordinator.sync(request, (result) => {
      if (box.result !== undefined) throw new Error('answered twice');
      box.result = result;
    });
    return box;
  }

  commit(
    offsets: readonly Partial<OffsetCommit>[],
    by: { memberId?: string; generation?: number; groupId?: string } = {},
  ): readonly number[] | undefined {
    let answer: readonly number[] | undefined;
    this.coordinator.commit(
      {
        groupId: by.groupId ?? 'g',
        memberId: by.memberId ?? '',
        instanceId: null,
        generation: by.generation ?? -1,
        offsets: offsets.map((offset) => ({
          topic: 't',
          topicId: 'T',
          partition: 0,
          offset: 0,
          leaderEpoch: -1,
          metadata: null,
          ...offset,
        })),
      },
      (errors) => {
        answer = errors;
      },
    );
    return answer;
  }
}

export function joinRequest(request: Partial<JoinRequest> = {}): JoinRequest {
  return {
    groupId: 'g',
    memberId: '',
    instanceId: null,
    clientId: 'client',
    clientHost: '/127.0.0.1',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('m') }],
    requiresKnownId: false,
    canSkipAssignment: false,
    ...request,
  };
}
