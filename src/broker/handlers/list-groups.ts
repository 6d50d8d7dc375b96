import type { Handler } from '../context.ts';

const TYPE = 'classic';

export const listGroups: Handler<'listGroups'> = (request, _call, { groups }) => {
  const states = new Set(request.statesFilter.map((state) => state.toLowerCase()));
  const types = new Set(request.typesFilter.map((type) => type.toLowerCase()));
  const wanted = groups
    .list()
    .filter(
      ({ state }) => (states.size === 0 || states.has(state.toLowerCase())) && (types.size === 0 || types.has(TYPE)),
    );
  return {
    groups: wanted.map(({ groupId, protocolType, state }) => ({
      groupId,
      protocolType,
      groupState: state,
      groupType: TYPE,
    })),
  };
};
