import { api, array, bool, float64, int8, int16, int32, string, type Value } from '../schema.ts';

export const describeClientQuotas = api({
  key: 48,
  name: 'DescribeClientQuotas',
  versions: '0-1',
  flexible: '1+',
  request: {
    components: array({
      entityType: string(),
      matchType: int8(),
      match: string('0+', { nullable: '0+' }),
    }),
    strict: bool(),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string('0+', { nullable: '0+' }),
    entries: array(
      {
        entity: array({
          entityType: string(),
          entityName: string('0+', { nullable: '0+' }),
        }),
        values: array({
          key: string(),
          value: float64(),
        }),
      },
      '0+',
      { nullable: '0+' },
    ),
  },
});

export type DescribeClientQuotasRequest = Value<typeof describeClientQuotas.request.fields>;
export type DescribeClientQuotasResponse = Value<typeof describeClientQuotas.response.fields>;
