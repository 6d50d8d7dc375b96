import { type Assignment, filtered, holds, NO_PARTITIONS, partitionsOf, united } from './assignment.ts';
import { type ConsumerMember, MEMBER_STATE } from './consumer-group.ts';

export interface Target {
  readonly epoch: number;
  readonly assignment: Assignment;
}

/**
 * The next step of a member towards its target (KIP-848, "Reconciliation of the group"): first it gives up what it is not to have and says so by
 * what it owns; only then does it get the epoch of the target, and with it partitions as soon as nobody else has them. `owned` is null when
 * the member did not say. `isFree` tells whether nobody else has a partition, or still has to give it up. The member itself when nothing changes.
 */
export function reconciled(
  member: ConsumerMember,
  target: Target,
  owned: Assignment | null,
  isFree: (topicId: string, partition: number) => boolean,
): ConsumerMember {
  const { state, revoking } = member;
  if (state === MEMBER_STATE.stable && member.epoch === target.epoch) return member;
  if (state === MEMBER_STATE.unrevoked && stillOwns(owned, revoking)) return member;
  return next(member, target, owned, isFree);
}

function next(
  member: ConsumerMember,
  target: Target,
  owned: Assignment | null,
  isFree: (topicId: string, partition: number) => boolean,
): ConsumerMember {
  const isTarget = (topicId: string, partition: number): boolean => holds(target.assignment, topicId, partition);
  const kept = filtered(member.assigned, isTarget);
  const revoking = filtered(member.assigned, (topicId, partition) => !isTarget(topicId, partition));
  if (stillOwns(owned, revoking)) return { ...member, state: MEMBER_STATE.unrevoked, assigned: kept, revoking };
  let unreleased = false;
  const added = filtered(target.assignment, (topicId, partition) => {
    if (holds(kept, topicId, partition)) return false;
    if (isFree(topicId, partition)) return true;
    unreleased = true;
    return false;
  });
  return {
    ...member,
    epoch: target.epoch,
    previousEpoch: member.epoch === target.epoch ? member.previousEpoch : member.epoch,
    state: unreleased ? MEMBER_STATE.unreleased : MEMBER_STATE.stable,
    assigned: united(kept, added),
    revoking: NO_PARTITIONS,
  };
}

/** Whether a member has, or may have as it does not say, some of these. */
function stillOwns(owned: Assignment | null, revoking: Assignment): boolean {
  for (const [topicId, partition] of partitionsOf(revoking)) {
    if (owned === null || holds(owned, topicId, partition)) return true;
  }
  return false;
}
