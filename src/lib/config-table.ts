import { type ErrorCode, StreamError } from './errors.ts';

/**
 * Settings as data: one row each, from which the command-line flags, the environment, the TOML file and the reference page follow.
 * A flag beats the environment, which beats the file, which beats the default.
 */
export interface Setting<T> {
  /** As in the file: `kafka.listen`. */
  readonly name: string;
  readonly flag: string;
  readonly env: string;
  /** Placeholder of the value in --help; absent for switches. */
  readonly placeholder?: string;
  readonly default: T;
  readonly doc: string;
  /** Throws OPTION_INVALID when the text is no value of the setting. */
  parse(text: string): T;
}

export type SettingTable = Readonly<Record<string, Setting<unknown>>>;
export type Values<Table extends SettingTable> = { readonly [K in keyof Table]: Table[K]['default'] };

/** A setting's text together with where it came from, for error messages. */
interface Given {
  readonly text: string;
  readonly from: string;
}

export function resolveSettings<Table extends SettingTable>(
  table: Table,
  flags: Readonly<Record<string, string | undefined>>,
  environment: Readonly<Record<string, string | undefined>>,
  file: Readonly<Record<string, unknown>>,
): Values<Table> {
  const fileTexts = flatten(file);
  const known = new Set(Object.values(table).map((setting) => setting.name));
  for (const name of fileTexts.keys()) {
    if (!known.has(name)) {
      throw new StreamError('OPTION_INVALID', `unknown setting ${name} in the configuration file`, {
        hint: `the settings are: ${[...known].join(', ')}`,
      });
    }
  }
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(table)) {
    const given = find(setting, flags[key], environment, fileTexts);
    values[key] = given === undefined ? setting.default : parseGiven(setting, given);
  }
  return values as Values<Table>;
}

function find(
  setting: Setting<unknown>,
  flag: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
  file: ReadonlyMap<string, string>,
): Given | undefined {
  if (flag !== undefined) return { text: flag, from: `--${setting.flag}` };
  const fromEnvironment = environment[setting.env];
  if (fromEnvironment !== undefined && fromEnvironment !== '') return { text: fromEnvironment, from: setting.env };
  const fromFile = file.get(setting.name);
  return fromFile === undefined ? undefined : { text: fromFile, from: `${setting.name} in the configuration file` };
}

function parseGiven(setting: Setting<unknown>, given: Given): unknown {
  try {
    return setting.parse(given.text);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new StreamError('OPTION_INVALID' satisfies ErrorCode, `${given.from}: ${why}`, { hint: setting.doc });
  }
}

/** `{kafka: {listen: 'x'}}` → `kafka.listen` = 'x'. */
function flatten(node: Readonly<Record<string, unknown>>, prefix = ''): Map<string, string> {
  const out = new Map<string, string>();
  for (const [key, value] of Object.entries(node)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [name, text] of flatten(value as Record<string, unknown>, `${prefix}${key}.`)) out.set(name, text);
    } else {
      out.set(prefix + key, String(value));
    }
  }
  return out;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export const parseText = (text: string): string => text;

/** Principals separated by semicolons (their names may have commas), each as `User:name`; the text as it was. */
export function parsePrincipals(text: string): string {
  for (const one of text.split(';')) {
    if (one.trim() === '' || /^User:./su.test(one.trim())) continue;
    throw new StreamError('OPTION_INVALID', `expected principals like User:alice, found ${JSON.stringify(one)}`);
  }
  return text;
}

export function parseHostPort(text: string): HostPort {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[2]) > 65535) {
    throw new StreamError('OPTION_INVALID', `expected HOST:PORT, found ${JSON.stringify(text)}`);
  }
  return { host: match[1].replace(/^\[|\]$/g, ''), port: Number(match[2]) };
}

export function parseSwitch(text: string): boolean {
  if (['true', '1', 'yes', 'on'].includes(text.toLowerCase())) return true;
  if (['false', '0', 'no', 'off'].includes(text.toLowerCase())) return false;
  throw new StreamError('OPTION_INVALID', `expected true or false, found ${JSON.stringify(text)}`);
}

export function parseInteger(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < least || value > most) {
      throw new StreamError(
        'OPTION_INVALID',
        `expected a whole number from ${least} to ${most}, found ${JSON.stringify(text)}`,
      );
    }
    return value;
  };
}

export function parseOneOf<const T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) {
      throw new StreamError('OPTION_INVALID', `expected one of ${choices.join(', ')}, found ${JSON.stringify(text)}`);
    }
    return found;
  };
}
