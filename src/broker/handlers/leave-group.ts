import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';

export const leaveGroup: Handler<'leaveGroup'> = ({ groupId, memberId, members }, call, { groups }) => {
  if (call.version < 3) return { errorCode: groups.leave(groupId, memberId, null) };
  if (!groups.has(groupId)) return { errorCode: groupId === '' ? E.INVALID_GROUP_ID : E.UNKNOWN_MEMBER_ID };
  return {
    members: members.map(({ memberId: id, groupInstanceId }) => ({
      memberId: id,
      groupInstanceId,
      errorCode: groups.leave(groupId, id, groupInstanceId),
    })),
  };
};
