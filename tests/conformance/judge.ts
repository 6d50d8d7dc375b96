/** What one case of a judge's own suite came to. */
export interface CaseResult {
  readonly name: string;
  readonly outcome: 'pass' | 'fail' | 'skip' | 'excluded';
  /** Why it is excluded, was skipped by its suite, or failed. */
  readonly note?: string;
  readonly seconds?: number;
}

/** A client or suite that we did not write, run against a broker of its own. */
export interface Judge {
  readonly name: string;
  /** What it is and which version, as the report card says it. */
  readonly title: string;
  /** Installs what it needs under `cache` once; a text says why it can't run here. */
  prepare(cache: string): Promise<string | undefined>;
  /** With `only`: the cases whose names hold one of these texts. */
  run(cache: string, report: (result: CaseResult) => void, only: readonly string[]): Promise<void>;
}

/** ACLs can be made, and nobody is refused who no ACL is about: as librdkafka's tests set their clusters up. */
export const WITH_ACLS: readonly string[] = ['--kafka-authorizer', '--kafka-allow-everyone-if-no-acl-found'];
