import type { Handler } from '../context.ts';
import { alterResource, SET } from './incremental-alter-configs.ts';

/** Sets the settings that are named and takes all others back to their defaults: the older form of IncrementalAlterConfigs. */
export const alterConfigs: Handler<'alterConfigs'> = async (request, _call, broker) => {
  const responses = [];
  for (const { resourceType, resourceName, configs } of request.resources) {
    const changes = configs.map(({ name, value }) => ({ name, value, configOperation: SET }));
    const result = await alterResource(
      broker,
      { resourceType, resourceName, configs: changes },
      request.validateOnly,
      true,
    );
    responses.push({ ...result, resourceType, resourceName });
  }
  return { responses };
};
