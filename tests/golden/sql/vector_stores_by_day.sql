SELECT bucket, CAST(SUM(usage_bytes) AS BIGINT) AS sum_usage_bytes
FROM (SELECT bucket, sum_usage_bytes AS usage_bytes
FROM (SELECT bucket, project_id, vector_store_id, MAX(usage_bytes) AS sum_usage_bytes
FROM (SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM rollup_1d
WHERE kind = ? AND ts >= ? AND ts < ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM deltas
WHERE kind = ? AND ts >= ? AND ts < ?) AS picked
GROUP BY bucket, project_id, vector_store_id) AS stores) AS largest
GROUP BY bucket
LIMIT 1001

-- 1: 'vector_stores'
-- 2: 1780876800
-- 3: 1781481600
-- 4: 'vector_stores'
-- 5: 1780876800
-- 6: 1781481600
