SELECT b.bidder, count(*) AS bid_count,
  TUMBLE_START(b.p_time, INTERVAL '10' SECOND) AS starttime, TUMBLE_END(b.p_time, INTERVAL '10' SECOND) AS endtime
FROM (SELECT *, PROCTIME() AS p_time FROM bid) b
GROUP BY b.bidder, TUMBLE(b.p_time, INTERVAL '10' SECOND)
