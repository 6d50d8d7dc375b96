import type { Handler } from '../context.ts';

export const listGroups: Handler<'listGroups'> = (request, _call, { groups }) => {
  const states = new Set(request.statesFilter.map((state) => state.toLowerCase()));
  const types = new Set(request.typesFilter.map((type) => type.toLowerCase()));
  const wanted = groups
    .list()
    .filter(
      ({ state, type }) =>
        (states.size === 0 || states.has(state.toLowerCase())) && (types.size === 0 || types.has(type)),
    );
  return {
    groups: wanted.map(({ groupId, protocolType, state, type }) => ({
      groupId,
      protocolType,
      groupState: state,
      groupType: type,
    })),
  };
};
