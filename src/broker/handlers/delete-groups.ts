import type { Handler } from '../context.ts';

export const deleteGroups: Handler<'deleteGroups'> = async (request, _call, { groups }) => ({
  results: await Promise.all(
    request.groupsNames.map(
      (groupId) =>
        new Promise<{ groupId: string; errorCode: number }>((resolve) => {
          groups.deleteGroup(groupId, (errorCode) => resolve({ groupId, errorCode }));
        }),
    ),
  ),
});
