SELECT bucket, CAST(sum_usage_bytes AS VARCHAR) AS sum_usage_bytes
FROM (SELECT bucket, SUM(usage_bytes) AS sum_usage_bytes
FROM (SELECT bucket, sum_usage_bytes AS usage_bytes
FROM (SELECT bucket, project_id, vector_store_id, MAX(usage_bytes) AS sum_usage_bytes
FROM (SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM rollup_1d
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND kind = ?) AS picked
GROUP BY bucket, project_id, vector_store_id) AS stores) AS largest
GROUP BY bucket) AS wide
LIMIT 1001

-- 1: 1780876800
-- 2: 1781481600
-- 3: 'vector_stores'
-- 4: 1780876800
-- 5: 1781481600
-- 6: 'vector_stores'
