SELECT bucket, CAST(sum_usage_bytes AS Nullable(String)) AS sum_usage_bytes
FROM (SELECT bucket, SUM(toInt128(usage_bytes)) AS sum_usage_bytes
FROM (SELECT bucket, sum_usage_bytes AS usage_bytes
FROM (SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, MAX(usage_bytes) AS sum_usage_bytes
FROM events FINAL
WHERE ts >= ? AND ts < ? AND kind = ?
GROUP BY bucket, project_id, vector_store_id) AS stores) AS largest
GROUP BY bucket) AS wide
LIMIT 1001

-- 1: 1780876800
-- 2: 1781481600
-- 3: 'vector_stores'
