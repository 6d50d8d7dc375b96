/** Entries of librdkafka's tests that can't say anything about this broker. Everything else that needs a broker runs. */
export const EXCLUSIONS: readonly { readonly cases: RegExp; readonly reason: string }[] = [
  { cases: /^(017|018|0190)/, reason: 'share groups (KIP-932) are not offered' },
  { cases: /^8\d{3}/, reason: 'made to be run by hand' },
  { cases: /^0101_fetch_from_follower/, reason: 'needs a cluster with racks' },
  { cases: /^0028_|^0047_/, reason: 'a known issue of librdkafka itself, by its own table' },
  {
    cases: /^0081_admin/,
    reason:
      'expects that flush.ms, which has no effect when every write is synced, and settings of the running broker are taken: here they are refused',
  },
  { cases: /^0092_/, reason: 'alters message.format.version, which Kafka 4 no longer has' },
];
