/**
 * What a client may do, as the bit fields of Metadata, DescribeCluster and DescribeGroups: bit n is Kafka's AclOperation n.
 * Nobody is refused anything yet, so these are all operations that a resource has.
 */
const bits = (...operations: number[]): number => operations.reduce((sum, operation) => sum | (1 << operation), 0);

/** Not asked for. */
export const UNKNOWN_OPERATIONS = -2147483648;
const READ = 3;
const WRITE = 4;
const CREATE = 5;
const DELETE = 6;
const ALTER = 7;
const DESCRIBE = 8;
const CLUSTER_ACTION = 9;
const DESCRIBE_CONFIGS = 10;
const ALTER_CONFIGS = 11;
const IDEMPOTENT_WRITE = 12;

export const TOPIC_OPERATIONS = bits(READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS);
export const GROUP_OPERATIONS = bits(READ, DELETE, DESCRIBE);
export const CLUSTER_OPERATIONS = bits(
  CREATE,
  ALTER,
  DESCRIBE,
  CLUSTER_ACTION,
  DESCRIBE_CONFIGS,
  ALTER_CONFIGS,
  IDEMPOTENT_WRITE,
);
