import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { GROUP_OPERATIONS, UNKNOWN_OPERATIONS } from '../authorized-operations.ts';
import type { Handler } from '../context.ts';

export const describeGroups: Handler<'describeGroups'> = (request, call, { groups }) => ({
  groups: request.groups.map((groupId) => {
    const { state, protocolType, protocolName, members } = groups.describe(groupId);
    // Before v6 a missing group is a dead one and no error (KIP-1043).
    const missing = state === 'Dead' && call.version >= 6;
    return {
      errorCode: missing ? E.GROUP_ID_NOT_FOUND : E.NONE,
      errorMessage: missing ? `there is no classic group ${groupId}` : null,
      groupId,
      groupState: state,
      protocolType,
      protocolData: protocolName,
      members,
      authorizedOperations: request.includeAuthorizedOperations && !missing ? GROUP_OPERATIONS : UNKNOWN_OPERATIONS,
    };
  }),
});
