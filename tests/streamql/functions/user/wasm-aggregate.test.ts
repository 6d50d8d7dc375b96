import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StreamError } from '../../../../src/lib/errors.ts';
import { BIGINT, type Datum, INTEGER } from '../../../../src/values/types.ts';
import { AGGREGATES } from '../../../../streamql/functions/aggregates.ts';
import { ListedRows } from '../../../../streamql/functions/group-rows.ts';
import { TABLE_FUNCTIONS } from '../../../../streamql/functions/table-functions.ts';
import { changesOf } from '../../../../streamql/functions/user/state-changes.ts';
import { checkUserCode, prepareUserCode } from '../../../../streamql/functions/user/user-code.ts';
import { type UserFunction, userFunctionId } from '../../../../streamql/functions/user/user-function.ts';
import { assemble, type Module, sumModule, UNLUCKY, UP_TO } from './wasm-assembler.ts';

async function prepared(kind: 'aggregate' | 'table', module: Module): Promise<UserFunction> {
  const fn: UserFunction = {
    kind,
    name: 'f',
    language: 'wasm',
    params: [{ name: '', type: kind === 'table' ? INTEGER : BIGINT }],
    returns: kind === 'table' ? null : BIGINT,
    columns: kind === 'table' ? [{ name: 'n', type: INTEGER }] : [],
    source: Buffer.from(assemble(module)).toString('base64'),
  };
  await prepareUserCode([fn]);
  return fn;
}

const codeOf = (run: () => unknown): string => {
  try {
    return `gave ${String(run())}`;
  } catch (thrown) {
    if (thrown instanceof StreamError) return `${thrown.code} ${thrown.message}`;
    throw thrown;
  }
};

describe('aggregates', () => {
  test('states of many groups step forward and back in one call, however the changes are cut', async () => {
    const fn = await prepared('aggregate', sumModule('subtracts'));
    checkUserCode(fn);
    const steps = AGGREGATES.get(userFunctionId(fn))!.steps!;
    const change = fc.record({
      group: fc.nat(3),
      value: fc.oneof(fc.integer(), fc.constantFrom(2 ** 52, -1)),
      times: fc.constantFrom(1, 1, 2, -1),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), fc.nat(30), (changes, cut) => {
        let states: (string | null)[] = [null, null, null, null];
        for (const part of [changes.slice(0, cut), changes.slice(cut)]) {
          const given = changesOf(
            part.map(({ value, times }) => [[value], times] as const),
            [BIGINT],
          );
          given.groups.set(part.map(({ group }) => group));
          states = steps.advance(states, given).map((state) => {
            if (state instanceof StreamError) throw state;
            return state;
          });
        }
        states.forEach((state, g) => {
          const mine = changes.filter(({ group }) => group === g);
          const sum = mine.reduce((all, { value, times }) => all + BigInt(value) * BigInt(times), 0n);
          expect(BigInt(steps.finish(state) as number)).toBe(sum);
          expect(state).toMatch(/^=/);
        });
      }),
    );
  });

  test('a row that fails is the failure of its group and of no other', async () => {
    const fn = await prepared('aggregate', UNLUCKY);
    const steps = AGGREGATES.get(userFunctionId(fn))!.steps!;
    const given = changesOf(
      [1, 13, 2, 3, 4].map((value) => [[value], 1] as const),
      [BIGINT],
    );
    given.groups.set([0, 1, 0, 1, 2]);
    const after = steps.advance([null, null, null], given);
    expect(after[1]).toBeInstanceOf(StreamError);
    expect([after[0], after[2]].map((state) => steps.finish(state as string))).toEqual([3, 4]);
  });

  test('without retract it is computed from the rows of its group', async () => {
    const fn = await prepared('aggregate', sumModule('absent'));
    checkUserCode(fn);
    const row = AGGREGATES.get(userFunctionId(fn))!;
    expect(row.steps).toBeUndefined();
    const rows = (values: Datum[]) => new ListedRows(values, null, false, [BIGINT]);
    const info = { types: [BIGINT], params: [], type: BIGINT };
    expect(row.finish!(rows([1, 2, 2]), info)).toBe(5);
    const many = Array.from({ length: 20_000 }, () => 7);
    expect(row.finish!(rows(many), info)).toBe(140_000);
  });

  test('CREATE refuses a retract that does not take back, and a module without what it needs', async () => {
    const wrong = await prepared('aggregate', sumModule('nothing'));
    expect(codeOf(() => checkUserCode(wrong))).toMatch('SQL_BIND retract of "f" does not undo accumulate');
    const empty = await prepared('aggregate', UP_TO);
    expect(codeOf(() => checkUserCode(empty))).toMatch(
      'SQL_BIND the module of "f" does not export state_bytes() → i32',
    );
    const large = {
      functions: [
        { name: 'state_bytes', params: [], code: [0x41, 0x80, 0x80, 0x08] },
        ...sumModule('absent').functions.slice(1),
      ],
    };
    const tooLarge = await prepared('aggregate', large);
    expect(codeOf(() => checkUserCode(tooLarge))).toMatch('VALUE_FUNCTION f has a state of 131072 bytes');
  });
});

test('a table function', async () => {
  const fn = await prepared('table', UP_TO);
  checkUserCode(fn);
  const { rows } = TABLE_FUNCTIONS.get(userFunctionId(fn))!;
  expect(rows([3], [INTEGER])).toEqual([[0, 1, 2]]);
  expect(rows([0], [INTEGER])).toEqual([[]]);
  expect(codeOf(() => rows([-1], [INTEGER]))).toMatch('VALUE_FUNCTION f gave more than 1000000 rows');
  expect(rows([1], [INTEGER])).toEqual([[0]]);
});
