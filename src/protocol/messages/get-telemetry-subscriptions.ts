import { api, array, bool, int8, int16, int32, string, uuid, type Value } from '../schema.ts';

export const getTelemetrySubscriptions = api({
  key: 71,
  name: 'GetTelemetrySubscriptions',
  versions: '0',
  flexible: '0+',
  request: {
    clientInstanceId: uuid(),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    clientInstanceId: uuid(),
    subscriptionId: int32(),
    acceptedCompressionTypes: array(int8()),
    pushIntervalMs: int32(),
    telemetryMaxBytes: int32(),
    deltaTemporality: bool(),
    requestedMetrics: array(string()),
  },
});

export type GetTelemetrySubscriptionsRequest = Value<typeof getTelemetrySubscriptions.request.fields>;
export type GetTelemetrySubscriptionsResponse = Value<typeof getTelemetrySubscriptions.response.fields>;
