/** Bytes that are no valid Kafka message or record batch. Never thrown for anything but bad input. */
export class ProtocolError extends Error {
  constructor(detail: string) {
    super(detail);
    this.name = 'ProtocolError';
  }
}
