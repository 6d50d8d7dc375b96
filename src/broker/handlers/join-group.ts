import type { Handler } from '../context.ts';

export const joinGroup: Handler<'joinGroup'> = (request, call, { groups }) =>
  new Promise((resolve) => {
    const { version } = call;
    groups.join(
      {
        groupId: request.groupId,
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        clientId: call.clientId ?? '',
        clientHost: call.clientHost,
        sessionTimeoutMs: request.sessionTimeoutMs,
        rebalanceTimeoutMs: request.rebalanceTimeoutMs < 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs,
        protocolType: request.protocolType,
        protocols: request.protocols,
        requiresKnownId: version >= 4,
        canSkipAssignment: version >= 9,
      },
      ({ error, generation, members, ...rest }) =>
        resolve({ ...rest, errorCode: error, generationId: generation, members }),
    );
  });
