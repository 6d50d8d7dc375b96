import { api, array, bool, float64, int16, int32, string, type Value } from '../schema.ts';

export const alterClientQuotas = api({
  key: 49,
  name: 'AlterClientQuotas',
  versions: '0-1',
  flexible: '1+',
  request: {
    entries: array({
      entity: array({
        entityType: string(),
        entityName: string('0+', { nullable: '0+' }),
      }),
      ops: array({
        key: string(),
        value: float64(),
        remove: bool(),
      }),
    }),
    validateOnly: bool(),
  },
  response: {
    throttleTimeMs: int32(),
    entries: array({
      errorCode: int16(),
      errorMessage: string('0+', { nullable: '0+' }),
      entity: array({
        entityType: string(),
        entityName: string('0+', { nullable: '0+' }),
      }),
    }),
  },
});

export type AlterClientQuotasRequest = Value<typeof alterClientQuotas.request.fields>;
export type AlterClientQuotasResponse = Value<typeof alterClientQuotas.response.fields>;
