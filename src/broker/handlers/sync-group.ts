import type { Handler } from '../context.ts';

export const syncGroup: Handler<'syncGroup'> = (request, _call, { groups }) =>
  new Promise((resolve) => {
    groups.sync(
      {
        groupId: request.groupId,
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        generation: request.generationId,
        protocolType: request.protocolType,
        protocolName: request.protocolName,
        assignments: request.assignments,
      },
      ({ error, ...rest }) => resolve({ ...rest, errorCode: error }),
    );
  });
