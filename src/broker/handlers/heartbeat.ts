import type { Handler } from '../context.ts';

export const heartbeat: Handler<'heartbeat'> = (request, _call, { groups }) => ({
  errorCode: groups.heartbeat(request.groupId, request.memberId, request.groupInstanceId, request.generationId),
});
