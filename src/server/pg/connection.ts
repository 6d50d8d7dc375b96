import type { Socket } from 'node:net';
import type { Statement } from '../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import type { SqlResult } from '../../catalog/context.ts';
import { asStreamError, type ErrorCode, StreamError } from '../../lib/errors.ts';
import type { ColumnSchema } from '../../values/batch.ts';
import { datumAt } from '../../values/column.ts';
import { datumToText } from '../../values/text.ts';
import type { Services } from '../route.ts';
import { DEFAULT_MAX_ROWS, DEFAULT_TIMEOUT_MS } from '../routes/sql.ts';
import { decodeBinary, encodeBinary } from './binary.ts';
import { FrameReader, FrameWriter, int16, int32, text } from './messages.ts';
import { isAboutSession, PARAMETERS, PgSession, sessionColumns, sessionResult, splitStatements } from './session.ts';
import { parameterValue, pgType } from './types.ts';

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const PROTOCOL_3 = 196608;
const MAX_FRAME_BYTES = 16 << 20;

/** SQLSTATE of our codes; what is not listed is XX000. */
const SQLSTATES: Readonly<Partial<Record<ErrorCode, string>>> = {
  SQL_SYNTAX: '42601',
  SQL_BIND: '42703',
  SQL_TYPE: '42804',
  SQL_UNSUPPORTED: '0A000',
  SQL_LIMIT: '54000',
  OPTION_INVALID: '22023',
  REQUEST_INVALID: '08P01',
  NOT_FOUND: '42P01',
  ALREADY_EXISTS: '42P07',
  IN_USE: '2BP01',
  TOO_LARGE: '54000',
  TIMEOUT: '57014',
  CANCELLED: '57014',
  TRANSACTION_FAILED: '25P02',
  OVERLOADED: '53300',
  VALUE_OVERFLOW: '22003',
  VALUE_DIVISION_BY_ZERO: '22012',
  VALUE_CAST: '22P02',
  VALUE_DOMAIN: '22023',
};

interface Prepared {
  readonly sql: string;
  readonly parameterOids: readonly number[];
}

interface Portal {
  readonly prepared: Prepared;
  readonly params: readonly unknown[];
  /** Per column, or one for all, or none: 1 is binary. */
  readonly formats: readonly number[];
  /** Described or executed already. */
  result?: SqlResult;
  /** Rows sent so far, when Execute asked for a number of them at a time. */
  sent: number;
}

/**
 * One Postgres client: simple and extended queries, text and binary format. Every statement commits by itself; what a transaction
 * block means then says session.ts. Messages are worked through strictly in order.
 */
export class PgConnection {
  readonly #socket: Socket;
  readonly #services: Services;
  readonly #out = new FrameWriter();
  readonly #prepared = new Map<string, Prepared>();
  readonly #portals = new Map<string, Portal>();
  readonly #abort = new AbortController();
  readonly #session = new PgSession();
  #received: Buffer = Buffer.alloc(0);
  #started = false;
  #working = false;
  /** After an error in an extended query everything up to Sync is skipped. */
  #skipping = false;

  constructor(socket: Socket, services: Services) {
    this.#socket = socket;
    this.#services = services;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      void this.#work();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#abort.abort());
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    this.#socket.pause();
    try {
      while (await this.#step()) this.#flush();
    } catch (thrown) {
      this.#services.log.warn('pg.protocol_error', {
        reason: thrown instanceof Error ? thrown.message : String(thrown),
      });
      this.#error(new StreamError('REQUEST_INVALID', 'the message is not understood'));
      this.#flush();
      this.#socket.end();
    } finally {
      this.#working = false;
      this.#socket.resume();
    }
  }

  /** Handles one whole message; false when more bytes are needed. */
  async #step(): Promise<boolean> {
    const header = this.#started ? 5 : 4;
    if (this.#received.length < header) return false;
    const length = this.#received.readInt32BE(header - 4);
    if (length < 4 || length > MAX_FRAME_BYTES) throw new RangeError(`a message of ${length} bytes`);
    const end = header - 4 + length;
    if (this.#received.length < end) return false;
    const type = this.#started ? String.fromCharCode(this.#received[0]) : '';
    const body = this.#received.subarray(header, end);
    this.#received = this.#received.subarray(end);
    if (this.#started) await this.#message(type, new FrameReader(body));
    else this.#startup(new FrameReader(body));
    return !this.#socket.destroyed;
  }

  #startup(reader: FrameReader): void {
    const code = reader.int32();
    if (code === SSL_REQUEST || code === GSS_REQUEST) {
      this.#socket.write('N');
    } else if (code === CANCEL_REQUEST) {
      this.#socket.end();
    } else if (code === PROTOCOL_3) {
      this.#started = true;
      this.#out.frame('R', int32(0));
      for (let name = reader.text(); name !== ''; name = reader.text()) {
        const value = reader.text();
        if (name === 'user') this.#session.user = this.#session.database = value;
        if (name === 'database') this.#session.database = value;
      }
      for (const [name, { value, reported }] of Object.entries(PARAMETERS)) {
        if (reported) this.#out.frame('S', text(name), text(value));
      }
      this.#out.frame('K', int32(process.pid), int32(0));
      this.#ready();
    } else {
      throw new RangeError(`protocol ${code}`);
    }
  }

  async #message(type: string, reader: FrameReader): Promise<void> {
    if (this.#skipping && type !== 'S' && type !== 'X') return;
    switch (type) {
      case 'Q':
        await this.#simple(reader.text());
        return;
      case 'X':
        this.#socket.end();
        return;
      case 'S':
        this.#skipping = false;
        this.#ready();
        return;
      case 'H':
        return;
      default:
        try {
          await this.#extended(type, reader);
        } catch (thrown) {
          if (thrown instanceof RangeError) throw thrown;
          this.#skipping = true;
          this.#error(thrown);
        }
    }
  }

  async #simple(sql: string): Promise<void> {
    try {
      if (sql.trim().replaceAll(';', '').trim() === '') {
        this.#out.frame('I');
      } else {
        // Positions in errors count from the first statement, so a text goes apart only when it has to.
        const pieces = splitStatements(sql);
        const apart = pieces.length > 1 && pieces.some((piece) => isAboutSession(piece));
        for (const piece of apart ? pieces : [sql]) {
          for (const result of await this.#execute(piece, [])) {
            if (result.kind === 'rows') this.#rowDescription(result.columns);
            this.#complete(result);
          }
        }
      }
    } catch (thrown) {
      this.#error(thrown);
    }
    this.#ready();
  }

  async #extended(type: string, reader: FrameReader): Promise<void> {
    switch (type) {
      case 'P': {
        const name = reader.text();
        const sql = reader.text();
        const parameterOids = Array.from({ length: reader.int16() }, () => reader.int32());
        if (!isAboutSession(sql) && parseStatements(sql).length > 1)
          throw new StreamError('SQL_SYNTAX', 'a prepared statement is one statement');
        this.#prepared.set(name, { sql, parameterOids });
        this.#out.frame('1');
        return;
      }
      case 'B':
        this.#bind(reader);
        return;
      case 'D': {
        const kind = reader.byte();
        await this.#describe(kind, reader.text());
        return;
      }
      case 'E': {
        const portal = this.#portal(reader.text());
        const most = reader.int32();
        portal.result ??= (await this.#execute(portal.prepared.sql, portal.params))[0];
        if (portal.result === undefined) this.#out.frame('I');
        else this.#complete(portal.result, portal, most > 0 ? most : Number.POSITIVE_INFINITY);
        return;
      }
      case 'C': {
        const kind = reader.byte();
        (kind === 'S' ? this.#prepared : this.#portals).delete(reader.text());
        this.#out.frame('3');
        return;
      }
      default:
        throw new StreamError('REQUEST_INVALID', `message ${JSON.stringify(type)} is not supported`);
    }
  }

  #bind(reader: FrameReader): void {
    const portal = reader.text();
    const prepared = this.#statement(reader.text());
    const formats = Array.from({ length: reader.int16() }, () => reader.int16());
    const params = Array.from({ length: reader.int16() }, (_, i) => {
      const length = reader.int32();
      if (length === -1) return null;
      const bytes = reader.bytes(length);
      const oid = prepared.parameterOids[i] ?? 0;
      return formatAt(formats, i) === 1 ? decodeBinary(bytes, oid) : parameterValue(bytes.toString('utf8'), oid);
    });
    const resultFormats = Array.from({ length: reader.int16() }, () => reader.int16());
    this.#portals.set(portal, { prepared, params, formats: resultFormats, sent: 0 });
    this.#out.frame('2');
  }

  /** A statement is described from its types alone; a portal of anything but a query has no rows. */
  async #describe(kind: string, name: string): Promise<void> {
    const portal = kind === 'P' ? this.#portal(name) : undefined;
    const prepared = portal?.prepared ?? this.#statement(name);
    const [statement] = isAboutSession(prepared.sql) ? [] : parseStatements(prepared.sql);
    if (kind === 'S') {
      const count = Math.max(prepared.parameterOids.length, highestParameter(prepared.sql));
      const oids = Array.from({ length: count }, (_, i) => int32(prepared.parameterOids[i] || 25));
      this.#out.frame('t', int16(count), ...oids);
    }
    const columns = isAboutSession(prepared.sql)
      ? sessionColumns(prepared.sql)
      : await this.#columnsOf(statement, prepared, portal);
    if (columns === undefined) this.#out.frame('n');
    else this.#rowDescription(columns, portal?.formats);
  }

  async #columnsOf(
    statement: Statement | undefined,
    prepared: Prepared,
    portal: Portal | undefined,
  ): Promise<readonly ColumnSchema[] | undefined> {
    if (statement === undefined) return undefined;
    if (statement.kind === 'query') {
      const params = portal?.params ?? Array.from({ length: highestParameter(prepared.sql) }, () => null);
      return this.#services.executor.describeQuery(statement.query, params);
    }
    if (statement.kind !== 'show' && statement.kind !== 'describe' && statement.kind !== 'explain') return undefined;
    const [result] = await this.#execute(prepared.sql, portal?.params ?? []);
    return result.kind === 'rows' ? result.columns : undefined;
  }

  async #execute(sql: string, params: readonly unknown[]): Promise<SqlResult[]> {
    const answer = this.#session.answer(sql);
    if (answer !== undefined) return [sessionResult(answer)];
    if (sql.trim() === '') return [];
    return this.#services.executor.execute(sql, {
      params,
      timeoutMs: DEFAULT_TIMEOUT_MS,
      maxRows: DEFAULT_MAX_ROWS,
      signal: this.#abort.signal,
    });
  }

  #statement(name: string): Prepared {
    const found = this.#prepared.get(name);
    if (found === undefined) throw new StreamError('NOT_FOUND', `there is no prepared statement "${name}"`);
    return found;
  }

  #portal(name: string): Portal {
    const found = this.#portals.get(name);
    if (found === undefined) throw new StreamError('NOT_FOUND', `there is no portal "${name}"`);
    return found;
  }

  #rowDescription(columns: readonly ColumnSchema[], formats: readonly number[] = []): void {
    const fields = columns.map((column, i) => {
      const { oid, size } = pgType(column.type);
      return Buffer.concat([
        text(column.name),
        int32(0),
        int16(0),
        int32(oid),
        int16(size),
        int32(-1),
        int16(formatAt(formats, i)),
      ]);
    });
    this.#out.frame('T', int16(columns.length), ...fields);
  }

  /** The rest of a result, or the next `most` rows of it: PortalSuspended then says that there are more. */
  #complete(
    result: SqlResult,
    portal: Pick<Portal, 'formats' | 'sent'> = { formats: [], sent: 0 },
    most = Number.POSITIVE_INFINITY,
  ): void {
    if (result.kind === 'ok') {
      this.#out.frame('C', text(result.tag));
      return;
    }
    let rows = 0;
    let before = 0;
    for (const batch of result.batches) {
      const from = Math.max(0, portal.sent - before);
      before += batch.length;
      for (let i = from; i < batch.length && rows < most; i++, rows++) {
        const fields = result.columns.map((column, c) => {
          const datum = datumAt(batch.columns[c], i);
          if (datum === null) return int32(-1);
          const bytes =
            formatAt(portal.formats, c) === 1
              ? encodeBinary(datum, column.type)
              : Buffer.from(datumToText(datum, column.type));
          return Buffer.concat([int32(bytes.length), bytes]);
        });
        this.#out.frame('D', int16(fields.length), ...fields);
      }
      this.#flush();
    }
    portal.sent += rows;
    if (portal.sent < before) this.#out.frame('s');
    else this.#out.frame('C', text(`SELECT ${rows}`));
  }

  #error(thrown: unknown): void {
    this.#session.failed();
    const error = asStreamError(thrown);
    const fields: [string, string][] = [
      ['S', 'ERROR'],
      ['V', 'ERROR'],
      ['C', SQLSTATES[error.code] ?? 'XX000'],
      [
        'M',
        error.at === undefined ? error.message : `${error.message} (line ${error.at.line}, column ${error.at.column})`,
      ],
    ];
    if (error.hint !== undefined) fields.push(['H', error.hint]);
    this.#out.frame('E', ...fields.map(([code, value]) => Buffer.concat([Buffer.from(code), text(value)])), [0]);
  }

  #ready(): void {
    this.#out.frame('Z', Buffer.from(this.#session.status));
  }

  #flush(): void {
    const bytes = this.#out.take();
    if (bytes.length > 0 && !this.#socket.destroyed) this.#socket.write(bytes);
  }
}

/** One format counts for all, none means text. */
const formatAt = (formats: readonly number[], i: number): number =>
  (formats.length === 1 ? formats[0] : formats[i]) ?? 0;

/** The highest n of $n outside of quotes. */
function highestParameter(sql: string): number {
  const bare = sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*/g, '');
  return Math.max(0, ...[...bare.matchAll(/\$(\d+)/g)].map((match) => Number(match[1])));
}
