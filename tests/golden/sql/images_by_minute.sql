SELECT bucket, size, source, CAST(SUM(images) AS BIGINT) AS sum_images, CAST(SUM(num_model_requests) AS BIGINT) AS sum_num_model_requests
FROM (SELECT ts - ts % 60 AS bucket, size, source, images, num_model_requests
FROM events
WHERE kind = ? AND ts >= ? AND ts < ? AND size IN (?)) AS picked
GROUP BY bucket, size, source
LIMIT 1001

-- 1: 'images'
-- 2: 1781478000
-- 3: 1781481600
-- 4: 'auto'
