import { type Assignment, topicPartitionsOf } from '../../consumer/assignment.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { GROUP_OPERATIONS, UNKNOWN_OPERATIONS } from '../authorized-operations.ts';
import type { BrokerContext, Handler } from '../context.ts';

/** As ConsumerGroupDescribe v1 tells which protocol a member speaks. */
const MEMBER_TYPE = { classic: 0, consumer: 1 } as const;

export const consumerGroupDescribe: Handler<'consumerGroupDescribe'> = (request, _call, broker) => ({
  groups: request.groupIds.map((groupId) => {
    const group = broker.groups.consumerGroup(groupId);
    if (group === undefined) {
      const errorMessage = `there is no consumer group ${groupId}`;
      return {
        errorCode: E.GROUP_ID_NOT_FOUND,
        errorMessage,
        groupId,
        groupState: 'Dead',
        assignorName: '',
        members: [],
      };
    }
    return {
      groupId,
      groupState: group.state,
      groupEpoch: group.epoch,
      assignmentEpoch: group.assignmentEpoch,
      assignorName: group.assignor,
      members: [...group.members.values()].map((member) => ({
        memberId: member.memberId,
        instanceId: member.instanceId,
        rackId: member.rackId,
        memberEpoch: member.epoch,
        clientId: member.clientId,
        clientHost: member.clientHost,
        subscribedTopicNames: [...member.topicNames],
        subscribedTopicRegex: member.topicRegex === '' ? null : member.topicRegex,
        assignment: shown(broker, member.assigned),
        targetAssignment: shown(broker, group.targetOf(member.memberId)),
        memberType: member.classic === null ? MEMBER_TYPE.consumer : MEMBER_TYPE.classic,
      })),
      authorizedOperations: request.includeAuthorizedOperations ? GROUP_OPERATIONS : UNKNOWN_OPERATIONS,
    };
  }),
});

/** Without topics that are gone by now. */
const shown = ({ storage }: BrokerContext, assignment: Assignment) => ({
  topicPartitions: topicPartitionsOf(assignment).flatMap(({ topicId, partitions }) => {
    const topicName = storage.topicById(topicId)?.name;
    return topicName === undefined ? [] : [{ topicId, topicName, partitions }];
  }),
});
