import { api, bool, bytes, int8, int16, int32, uuid, type Value } from '../schema.ts';

export const pushTelemetry = api({
  key: 72,
  name: 'PushTelemetry',
  versions: '0',
  flexible: '0+',
  request: {
    clientInstanceId: uuid(),
    subscriptionId: int32(),
    terminating: bool(),
    compressionType: int8(),
    metrics: bytes(),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
  },
});

export type PushTelemetryRequest = Value<typeof pushTelemetry.request.fields>;
export type PushTelemetryResponse = Value<typeof pushTelemetry.response.fields>;
