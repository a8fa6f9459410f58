SELECT ts - ts % 60 AS bucket, size, source, CAST(SUM(images) AS BIGINT) AS sum_images, CAST(SUM(num_model_requests) AS BIGINT) AS sum_num_model_requests
FROM events
WHERE ts >= ? AND ts < ? AND kind = ? AND size = ?
GROUP BY bucket, size, source
LIMIT 1001

-- 1: 1781478000
-- 2: 1781481600
-- 3: 'images'
-- 4: 'auto'
