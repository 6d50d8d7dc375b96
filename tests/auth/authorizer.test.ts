import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AclBinding,
  EVERYBODY,
  faultOf,
  filterFault,
  IMPLIED_BY,
  matches,
  OPERATION as OP,
  PATTERN,
  PERMISSION,
  RESOURCE,
  WILDCARD,
} from '../../src/auth/acl.ts';
import { Authorizer, type AuthorizerSettings } from '../../src/auth/authorizer.ts';

const NOBODY: AuthorizerSettings = { superUsers: [], allowIfNoAcl: false };
const acl = (fields: Partial<AclBinding> = {}): AclBinding => ({
  resourceType: RESOURCE.topic,
  resourceName: 'orders',
  patternType: PATTERN.literal,
  principal: 'User:alice',
  host: WILDCARD,
  operation: OP.read,
  permission: PERMISSION.allow,
  ...fields,
});
const withAcls = (acls: readonly AclBinding[], settings = NOBODY): Authorizer => {
  const authorizer = new Authorizer(settings);
  for (const one of acls) authorizer.add(one);
  return authorizer;
};
const reads = (authorizer: Authorizer, name = 'orders', principal = 'User:alice', host = '10.0.0.1'): boolean =>
  authorizer.allows(principal, host, OP.read, RESOURCE.topic, name);

describe('a principal', () => {
  test('may nothing without a binding, unless told otherwise or a super user', () => {
    expect(reads(withAcls([]))).toBe(false);
    expect(reads(withAcls([], { ...NOBODY, allowIfNoAcl: true }))).toBe(true);
    expect(reads(withAcls([], { ...NOBODY, superUsers: ['User:alice'] }))).toBe(true);
    // A binding for somebody else is a binding.
    expect(reads(withAcls([acl({ principal: 'User:bob' })], { ...NOBODY, allowIfNoAcl: true }))).toBe(false);
  });

  test('may what is allowed by name, by prefix or to everybody, from that host', () => {
    expect(reads(withAcls([acl()]))).toBe(true);
    expect(reads(withAcls([acl()]), 'orders2')).toBe(false);
    expect(reads(withAcls([acl({ patternType: PATTERN.prefixed })]), 'orders2')).toBe(true);
    expect(reads(withAcls([acl({ patternType: PATTERN.prefixed })]), 'order')).toBe(false);
    expect(reads(withAcls([acl({ resourceName: WILDCARD })]), 'x')).toBe(true);
    expect(reads(withAcls([acl({ principal: EVERYBODY })]), 'orders', 'User:bob')).toBe(true);
    expect(reads(withAcls([acl({ host: '10.0.0.1' })]))).toBe(true);
    expect(reads(withAcls([acl({ host: '10.0.0.2' })]))).toBe(false);
  });

  test('may not what is denied, however it is allowed; a super user may', () => {
    const deny = acl({
      permission: PERMISSION.deny,
      principal: EVERYBODY,
      patternType: PATTERN.prefixed,
      resourceName: 'o',
    });
    expect(reads(withAcls([acl(), deny]))).toBe(false);
    expect(reads(withAcls([acl(), deny], { ...NOBODY, superUsers: ['User:alice'] }))).toBe(true);
    expect(
      reads(withAcls([acl({ operation: OP.all }), acl({ operation: OP.write, permission: PERMISSION.deny })])),
    ).toBe(true);
  });

  test('may describe what it may read; to be denied reading denies only that', () => {
    const describes = (authorizer: Authorizer): boolean =>
      authorizer.allows('User:alice', 'h', OP.describe, RESOURCE.topic, 'orders');
    expect(describes(withAcls([acl()]))).toBe(true);
    expect(describes(withAcls([acl({ operation: OP.create })]))).toBe(false);
    const denied = [acl({ permission: PERMISSION.deny }), acl({ operation: OP.describe })];
    expect(describes(withAcls(denied))).toBe(true);
    expect(describes(withAcls([acl(), acl({ operation: OP.describe, permission: PERMISSION.deny })]))).toBe(false);
  });

  test('may anything of a type if nothing denied covers what is allowed', () => {
    const writes = (acls: readonly AclBinding[]): boolean =>
      withAcls(acls).allowsAny('User:alice', 'h', OP.write, RESOURCE.topic);
    const write = acl({ operation: OP.write });
    expect(writes([])).toBe(false);
    expect(writes([write])).toBe(true);
    expect(writes([acl()])).toBe(false);
    expect(writes([write, acl({ operation: OP.write, permission: PERMISSION.deny })])).toBe(false);
    expect(writes([write, acl({ operation: OP.all, permission: PERMISSION.deny, resourceName: WILDCARD })])).toBe(
      false,
    );
    expect(
      writes([acl({ operation: OP.write, resourceName: WILDCARD }), acl({ ...write, permission: PERMISSION.deny })]),
    ).toBe(true);
  });
});

const names = fc.constantFrom('a', 'ab', 'abc', 'b', '*');
const bindings = fc.record({
  resourceType: fc.constantFrom(RESOURCE.topic, RESOURCE.group),
  resourceName: names,
  patternType: fc.constantFrom(PATTERN.literal, PATTERN.prefixed),
  principal: fc.constantFrom('User:alice', 'User:bob', EVERYBODY),
  host: fc.constantFrom('h', 'i', WILDCARD),
  operation: fc.constantFrom(OP.all, OP.read, OP.write, OP.describe, OP.alterConfigs, OP.describeConfigs),
  permission: fc.constantFrom(PERMISSION.allow, PERMISSION.deny),
});

test('the index answers as a look at every binding does, also after some are gone', () => {
  fc.assert(
    fc.property(fc.array(bindings, { maxLength: 12 }), fc.nat(11), fc.boolean(), (acls, gone, allowIfNoAcl) => {
      const authorizer = withAcls(acls, { superUsers: [], allowIfNoAcl });
      const left = acls.filter((one) => JSON.stringify(one) !== JSON.stringify(acls[gone]));
      if (acls[gone] !== undefined) {
        reads(authorizer, 'ab');
        authorizer.remove(acls[gone]);
      }
      for (const name of ['a', 'ab', 'abcd', 'c'])
        for (const operation of [OP.read, OP.describe, OP.describeConfigs, OP.write])
          for (const principal of ['User:alice', 'User:carol']) {
            const covering = left.filter(
              ({ resourceType, resourceName, patternType }) =>
                resourceType === RESOURCE.topic &&
                (patternType === PATTERN.prefixed
                  ? name.startsWith(resourceName)
                  : resourceName === name || resourceName === WILDCARD),
            );
            const mine = covering.filter(
              (one) => [principal, EVERYBODY].includes(one.principal) && ['h', WILDCARD].includes(one.host),
            );
            const is = (one: AclBinding, ...of: number[]) => [operation, OP.all, ...of].includes(one.operation);
            const denied = mine.some((one) => one.permission === PERMISSION.deny && is(one));
            const allowed = mine.some(
              (one) => one.permission === PERMISSION.allow && is(one, ...(IMPLIED_BY[operation] ?? [])),
            );
            const expected = !denied && (allowed || (covering.length === 0 && allowIfNoAcl));
            for (const _ of ['decided', 'remembered'])
              expect(authorizer.allows(principal, 'h', operation, RESOURCE.topic, name)).toBe(expected);
          }
    }),
    { numRuns: 300 },
  );
});

test('filters find bindings by any of their parts, or by what they cover', () => {
  const any = {
    resourceType: 1,
    resourceName: null,
    patternType: 1,
    principal: null,
    host: null,
    operation: 1,
    permission: 1,
  };
  const prefixed = acl({ patternType: PATTERN.prefixed, resourceName: 'ord' });
  expect(matches(any, prefixed)).toBe(true);
  expect(matches({ ...any, resourceName: 'orders' }, prefixed)).toBe(false);
  expect(matches({ ...any, resourceName: 'orders', patternType: PATTERN.match }, prefixed)).toBe(true);
  expect(matches({ ...any, resourceName: 'orders', patternType: PATTERN.match }, acl({ resourceName: '*' }))).toBe(
    true,
  );
  expect(matches({ ...any, resourceName: 'ord', patternType: PATTERN.literal }, prefixed)).toBe(false);
  expect(matches({ ...any, principal: 'User:bob' }, prefixed)).toBe(false);
  expect(matches({ ...any, operation: OP.write }, prefixed)).toBe(false);
});

test('bindings and filters that cannot be say why', () => {
  expect(faultOf(acl())).toBeUndefined();
  expect(faultOf(acl({ resourceType: 9 }))).toMatch(/no resource type 9/);
  expect(faultOf(acl({ resourceName: '' }))).toMatch(/empty/);
  expect(faultOf(acl({ patternType: PATTERN.match }))).toMatch(/literal or prefixed/);
  expect(faultOf(acl({ resourceType: RESOURCE.cluster, operation: OP.alter }))).toMatch(/kafka-cluster/);
  expect(faultOf(acl({ operation: OP.idempotentWrite }))).toMatch(/does not exist on/);
  expect(faultOf(acl({ principal: 'alice' }))).toMatch(/not a principal/);
  expect(filterFault({ ...acl(), operation: 99 })).toMatch(/no operation 99/);
  expect(filterFault({ ...acl(), patternType: 0 })).toMatch(/no pattern type 0/);
});
