/** A moment of a view's past: the end of an epoch, or of the last one that was by a time, in microseconds since 1970. */
export type AsOf = { readonly epoch: number } | { readonly micros: number };

export const asOfText = (asOf: AsOf): string =>
  'epoch' in asOf
    ? String(asOf.epoch)
    : new Date(Math.floor(asOf.micros / 1000)).toISOString().replace('T', ' ').replace('Z', '');
