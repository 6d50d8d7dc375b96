import type { Socket } from 'node:net';
import { translate } from '../../../streamql/dialects/translate.ts';
import type { Statement } from '../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import type { SqlResult } from '../../catalog/context.ts';
import { asStreamError, StreamError } from '../../lib/errors.ts';
import type { ColumnSchema } from '../../values/batch.ts';
import type { Services } from '../route.ts';
import { DEFAULT_MAX_ROWS } from '../routes/sql.ts';
import { decodeBinary } from './binary.ts';
import type { CancelRegistry } from './cancel.ts';
import { FrameReader, FrameWriter, int16, int32, text } from './messages.ts';
import { errorFields, type Piece } from './pg-error.ts';
import { dataRows, formatAt, rowDescription } from './result-frames.ts';
import { isAboutSession, PARAMETERS, PgSession, type Prepared, sessionColumns, sessionResult } from './session.ts';
import { bareText, highestParameter, splitStatements } from './sql-text.ts';
import { parameterValue } from './types.ts';

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
/** Version 3.0, the only minor version here. */
const PROTOCOL_3 = 196608;
const MAX_FRAME_BYTES = 16 << 20;

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
  readonly #portals = new Map<string, Portal>();
  readonly #session = new PgSession();
  readonly #cancels: CancelRegistry;
  /** Ends the statement that runs now. */
  #running: AbortController | undefined;
  /** What is worked on, for the positions in errors. */
  #piece: Piece | undefined;
  #received: Buffer = Buffer.alloc(0);
  #started = false;
  #working = false;
  /** After an error in an extended query everything up to Sync is skipped. */
  #skipping = false;

  constructor(socket: Socket, services: Services, cancels: CancelRegistry) {
    this.#socket = socket;
    this.#services = services;
    this.#cancels = cancels;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      void this.#work();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#running?.abort());
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
      this.#error(new StreamError('REQUEST_INVALID', 'the message is not understood'), 'FATAL');
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
      this.#cancels.cancel({ process: reader.int32(), secret: reader.int32() });
      this.#socket.end();
    } else if (code >>> 16 === PROTOCOL_3 >>> 16) {
      this.#start(reader, code);
    } else {
      throw new RangeError(`protocol ${code}`);
    }
  }

  /** A newer minor version and options of the protocol itself are declined by NegotiateProtocolVersion, and it goes on without. */
  #start(reader: FrameReader, version: number): void {
    this.#started = true;
    const declined: string[] = [];
    try {
      for (let name = reader.text(); name !== ''; name = reader.text()) {
        const value = reader.text();
        if (name.startsWith('_pq_.')) declined.push(name);
        else this.#session.start(name, value);
      }
    } catch (thrown) {
      if (thrown instanceof RangeError) throw thrown;
      this.#error(thrown, 'FATAL');
      this.#flush();
      this.#socket.end();
      return;
    }
    if (version !== PROTOCOL_3 || declined.length > 0)
      this.#out.frame('v', int32(PROTOCOL_3), int32(declined.length), ...declined.map(text));
    this.#out.frame('R', int32(0));
    for (const [name, { value, reported }] of Object.entries(PARAMETERS)) {
      if (reported) this.#out.frame('S', text(name), text(value));
    }
    const key = this.#cancels.add(() => this.#running?.abort());
    this.#socket.once('close', () => this.#cancels.remove(key));
    this.#out.frame('K', int32(key.process), int32(key.secret));
    this.#ready();
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
      // Only what is about the session stands alone: the language takes the rest as one script.
      const pieces = splitStatements(sql);
      const apart = pieces.length > 1 && pieces.some((piece) => isAboutSession(piece.text));
      let results = 0;
      for (const { text: statement, from } of apart ? pieces : [{ text: sql, from: 0 }]) {
        this.#piece = { whole: sql, from };
        for (const result of await this.#execute(statement, [])) {
          results++;
          if (result.kind === 'rows') rowDescription(this.#out, result.columns);
          this.#complete(result);
        }
      }
      if (results === 0) this.#out.frame('I');
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
        this.#piece = { whole: sql, from: 0 };
        if (!isAboutSession(sql) && this.#parse(sql).length > 1)
          throw new StreamError('SQL_SYNTAX', 'a prepared statement is one statement');
        const parameters = Math.max(parameterOids.length, highestParameter(sql));
        this.#session.prepared.set(name, { sql, parameterOids, parameters });
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
        this.#piece = { whole: portal.prepared.sql, from: 0 };
        portal.result ??= (await this.#execute(portal.prepared.sql, portal.params))[0];
        if (portal.result === undefined) this.#out.frame('I');
        else this.#complete(portal.result, portal, most > 0 ? most : Number.POSITIVE_INFINITY);
        return;
      }
      case 'C': {
        const kind = reader.byte();
        (kind === 'S' ? this.#session.prepared : this.#portals).delete(reader.text());
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
    const given = reader.int16();
    if (given !== prepared.parameters) {
      throw new StreamError(
        'REQUEST_INVALID',
        `${given} parameters for a statement that has ${prepared.parameters === 0 ? 'none' : prepared.parameters}`,
      );
    }
    const params = Array.from({ length: given }, (_, i) => {
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
    this.#piece = { whole: prepared.sql, from: 0 };
    const [statement] = isAboutSession(prepared.sql) ? [] : this.#parse(prepared.sql);
    if (kind === 'S') {
      const count = prepared.parameters;
      const oids = Array.from({ length: count }, (_, i) => int32(prepared.parameterOids[i] || 25));
      this.#out.frame('t', int16(count), ...oids);
    }
    const columns = isAboutSession(prepared.sql)
      ? sessionColumns(prepared.sql)
      : await this.#columnsOf(statement, prepared, portal);
    if (columns === undefined) this.#out.frame('n');
    else rowDescription(this.#out, columns, portal?.formats);
  }

  /** In the dialect of the session. */
  #parse(sql: string): Statement[] {
    const { dialect } = this.#session.sql;
    return parseStatements(dialect === 'streamql' ? sql : translate(sql, dialect).sql);
  }

  async #columnsOf(
    statement: Statement | undefined,
    prepared: Prepared,
    portal: Portal | undefined,
  ): Promise<readonly ColumnSchema[] | undefined> {
    if (statement === undefined) return undefined;
    if (statement.kind === 'query') {
      const params = portal?.params ?? Array.from({ length: prepared.parameters }, () => null);
      return this.#services.executor.describeQuery(statement.query, params, this.#session.sql);
    }
    if (!['show', 'describe', 'explain', 'verify'].includes(statement.kind)) return undefined;
    const [result] = await this.#execute(prepared.sql, portal?.params ?? []);
    return result.kind === 'rows' ? result.columns : undefined;
  }

  async #execute(sql: string, params: readonly unknown[]): Promise<SqlResult[]> {
    const answer = this.#session.answer(sql);
    if (answer !== undefined) return [sessionResult(answer)];
    if (bareText(sql) === '') return [];
    const running = new AbortController();
    if (this.#socket.destroyed) running.abort();
    this.#running = running;
    try {
      return await this.#services.executor.execute(sql, {
        params,
        timeoutMs: this.#session.statementTimeoutMs,
        maxRows: DEFAULT_MAX_ROWS,
        signal: running.signal,
        session: this.#session.sql,
      });
    } catch (thrown) {
      if (!running.signal.aborted || asStreamError(thrown).code !== 'CANCELLED') throw thrown;
      throw new StreamError('CANCELLED', 'the client cancelled the statement');
    } finally {
      this.#running = undefined;
    }
  }

  #statement(name: string): Prepared {
    const found = this.#session.prepared.get(name);
    if (found === undefined)
      throw new StreamError('NOT_FOUND', `there is no prepared statement "${name}"`, { sqlState: '26000' });
    return found;
  }

  #portal(name: string): Portal {
    const found = this.#portals.get(name);
    if (found === undefined) throw new StreamError('NOT_FOUND', `there is no portal "${name}"`, { sqlState: '34000' });
    return found;
  }

  /** The rest of a result, or the next `most` rows of it: PortalSuspended then says that there are more. */
  #complete(
    result: SqlResult,
    portal: Pick<Portal, 'formats' | 'sent'> = { formats: [], sent: 0 },
    most = Number.POSITIVE_INFINITY,
  ): void {
    if (result.kind === 'ok') {
      if (result.notice !== undefined) this.#notice('NOTICE', result.notice);
      this.#warn(result);
      this.#out.frame('C', text(result.tag));
      return;
    }
    if (portal.sent === 0) this.#warn(result);
    const rows = dataRows(this.#out, result, portal.formats, portal.sent, most, () => this.#flush());
    portal.sent += rows;
    const all = result.batches.reduce((sum, batch) => sum + batch.length, 0);
    if (portal.sent < all) this.#out.frame('s');
    else this.#out.frame('C', text(`SELECT ${rows}`));
  }

  /** 00000 is success, 01000 a warning (PostgreSQL, appendix A). */
  #warn({ warnings = [] }: SqlResult): void {
    for (const { message, hint } of warnings) this.#notice('WARNING', message, hint);
  }

  #notice(severity: 'NOTICE' | 'WARNING', message: string, hint?: string): void {
    const state = severity === 'NOTICE' ? '00000' : '01000';
    const fields = [
      `S${severity}`,
      `V${severity}`,
      `C${state}`,
      `M${message}`,
      ...(hint === undefined ? [] : [`H${hint}`]),
    ];
    this.#out.frame('N', ...fields.map(text), [0]);
  }

  #error(thrown: unknown, severity: 'ERROR' | 'FATAL' = 'ERROR'): void {
    this.#session.failed();
    const fields = errorFields(thrown, severity, this.#piece);
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
