import type { SessionFacts } from '../../streamql/binder/session-calls.ts';
import { DIALECT_NAMES } from '../../streamql/dialects/translate.ts';
import type { Name } from '../../streamql/parser/ast.ts';
import { type Position, StreamError } from '../lib/errors.ts';
import { VERSION } from '../version.ts';
import { PUBLIC_SCHEMA } from './catalog.ts';

const DEFAULT_PATH: readonly string[] = [PUBLIC_SCHEMA];

/** What SET changes for the statements after it: of a connection of the Postgres wire, or of one script over HTTP. */
export class SqlSession {
  /** Where plain names are looked for, and in the first of them made. Schemas that do not exist are passed over. */
  searchPath: readonly string[] = DEFAULT_PATH;
  /** Whose SQL statements are written in. */
  dialect = DIALECT_NAMES[0];
  user = 'streamline';
  database = 'streamline';
  /** What a protocol beside answers to SHOW, by name in lower case. */
  settings: Readonly<Record<string, string>> = {};

  /** What functions such as current_user answer. */
  get facts(): SessionFacts {
    const own = { search_path: this.get('search_path'), dialect: this.dialect };
    return {
      version: `PostgreSQL 15.0 (Streamline ${VERSION})`,
      user: this.user,
      database: this.database,
      schemas: this.searchPath,
      settings: { ...this.settings, ...own },
    };
  }

  /** As SHOW answers. OPTION_INVALID when there is no such setting. */
  get(name: string, at?: Position): string {
    if (name === 'search_path') return this.searchPath.map(shown).join(', ');
    if (name === 'dialect') return this.dialect;
    throw unknown(name, at);
  }

  /** No values: the default. */
  set(name: string, values: readonly string[], at?: Position): void {
    if (name === 'dialect') {
      const [dialect = DIALECT_NAMES[0]] = values;
      if (!DIALECT_NAMES.includes(dialect.toLowerCase())) {
        throw new StreamError('OPTION_INVALID', `dialect "${dialect}" is not known`, {
          ...(at === undefined ? {} : { at }),
          hint: `there are: ${DIALECT_NAMES.join(', ')}`,
        });
      }
      this.dialect = dialect.toLowerCase();
      return;
    }
    if (name !== 'search_path') throw unknown(name, at);
    this.searchPath = values.length === 0 ? DEFAULT_PATH : values.filter((value) => value !== '$user' && value !== '');
  }
}

const shown = (name: string): string => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

function unknown(name: string, at: Position | undefined): StreamError {
  return new StreamError('OPTION_INVALID', `there is no setting "${name}"`, {
    ...(at === undefined ? {} : { at }),
    hint: 'there are search_path and dialect; settings of the server are flags of its command',
  });
}

/** SHOW of a setting rather than of a kind of objects. */
export const isSetting = ({ text }: Name): boolean => text === 'search_path' || text === 'dialect';
