SELECT b.auction, b.price, b.bidder, b.date_time
FROM bid b
JOIN (
  SELECT MAX(price) AS max_price, window_end
  FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end
) w
ON b.price = w.max_price
WHERE b.date_time BETWEEN w.window_end - INTERVAL '10' SECOND AND w.window_end
