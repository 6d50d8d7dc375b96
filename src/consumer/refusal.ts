/** Thrown where a request of a member is refused, with the error code that it is answered with. */
export class Refusal extends Error {
  readonly error: number;

  constructor(error: number, message: string) {
    super(message);
    this.error = error;
  }
}
