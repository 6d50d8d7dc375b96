import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';
import { NO_ERROR } from '../kafka-error.ts';
import { FEATURES } from './api-versions.ts';

/** Features are at their highest levels and stay there: to set one to what it is does nothing, anything else is refused. */
export const updateFeatures: Handler<'updateFeatures'> = ({ featureUpdates }, { version }) => {
  const results = featureUpdates.map(({ feature, maxVersionLevel }) => {
    const known = FEATURES.find(({ name }) => name === feature);
    if (known?.max === maxVersionLevel) return { feature, ...NO_ERROR };
    const errorMessage =
      known === undefined ? `there is no feature ${feature}` : `${feature} is always at level ${known.max} here`;
    return { feature, errorCode: E.INVALID_UPDATE_VERSION, errorMessage };
  });
  const refused = results.find(({ errorCode }) => errorCode !== E.NONE);
  // Since v2 all is done or nothing, with one error for all.
  if (version >= 2 && refused !== undefined)
    return { errorCode: refused.errorCode, errorMessage: refused.errorMessage };
  return { ...NO_ERROR, results };
};
