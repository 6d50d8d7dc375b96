/** Who a connection acts for, as Kafka writes it: `User:alice`. */
export interface Principal {
  readonly type: 'User';
  readonly name: string;
}

/** Whoever has not said who they are. */
export const ANONYMOUS: Principal = { type: 'User', name: 'ANONYMOUS' };

export const principalText = ({ type, name }: Principal): string => `${type}:${name}`;
