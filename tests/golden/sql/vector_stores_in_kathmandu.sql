SELECT bucket, CAST(SUM(usage_bytes) AS BIGINT) AS sum_usage_bytes
FROM (SELECT bucket, sum_usage_bytes AS usage_bytes
FROM (SELECT bucket, project_id, vector_store_id, MAX(usage_bytes) AS sum_usage_bytes
FROM (SELECT ts - (ts - 1780856100) % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM rollup_15m
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - (ts - 1780856100) % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND kind = ?) AS picked
GROUP BY bucket, project_id, vector_store_id) AS stores) AS largest
GROUP BY bucket
LIMIT 1001

-- 1: 1780876800
-- 2: 1781460900
-- 3: 'vector_stores'
-- 4: 1780876800
-- 5: 1781460900
-- 6: 'vector_stores'
