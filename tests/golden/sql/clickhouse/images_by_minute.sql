SELECT ts - ts % 60 AS bucket, size, source, accurateCast(SUM(toInt128(images)), 'Int64') AS sum_images, accurateCast(SUM(toInt128(num_model_requests)), 'Int64') AS sum_num_model_requests
FROM events FINAL
WHERE ts >= ? AND ts < ? AND kind = ? AND size = ?
GROUP BY bucket, size, source
LIMIT 1001

-- 1: 1781478000
-- 2: 1781481600
-- 3: 'images'
-- 4: 'auto'
