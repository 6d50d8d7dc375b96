/** Entries of librdkafka's tests that can't say anything about this broker. Everything else that needs a broker runs. */
export const EXCLUSIONS: readonly { readonly cases: RegExp; readonly reason: string }[] = [
  {
    cases: /^0097_ssl_verify$/,
    reason:
      "waits for Java's way of refusing in TLS: Node sends no alert for a client certificate that it refuses, and closes at once when the client refuses the server's",
  },
  { cases: /^(017|018|0190)/, reason: 'share groups (KIP-932) are not offered' },
  { cases: /^8\d{3}/, reason: 'made to be run by hand' },
  { cases: /^0101_fetch_from_follower/, reason: 'needs a cluster with racks' },
  { cases: /^0028_|^0047_/, reason: 'a known issue of librdkafka itself, by its own table' },
  {
    cases: /^0081_admin/,
    reason:
      'alters sasl.kerberos.min.time.before.relogin of the broker and flush.ms of a topic: there is no Kerberos here and every write is synced, so both would do nothing and are refused',
  },
  { cases: /^0092_/, reason: 'alters message.format.version, which Kafka 4 no longer has' },
];
