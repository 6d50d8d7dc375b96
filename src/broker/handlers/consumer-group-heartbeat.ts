import { OPERATION, RESOURCE } from '../../auth/acl.ts';
import type { ConsumerHeartbeatResult } from '../../consumer/consumer-membership.ts';
import type { Handler } from '../context.ts';

export const consumerGroupHeartbeat: Handler<'consumerGroupHeartbeat'> = async (request, call, { groups }) => {
  const result = await new Promise<ConsumerHeartbeatResult>((resolve) => {
    groups.consumerHeartbeat(
      {
        ...request,
        topicNames: request.subscribedTopicNames,
        topicRegex: request.subscribedTopicRegex,
        owned: request.topicPartitions,
        clientId: call.clientId ?? '',
        clientHost: call.clientHost,
        bringsId: call.version >= 1,
        isVisible: (topic) => call.rights?.may(OPERATION.describe, RESOURCE.topic, topic) ?? true,
      },
      resolve,
    );
  });
  const { error, message, memberId, memberEpoch, assignment } = result;
  return {
    errorCode: error,
    errorMessage: message,
    memberId,
    memberEpoch,
    heartbeatIntervalMs: groups.consumerHeartbeatIntervalMs(request.groupId),
    assignment: assignment === null ? null : { topicPartitions: assignment },
  };
};
