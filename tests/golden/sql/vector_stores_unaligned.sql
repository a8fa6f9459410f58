SELECT bucket, project_id, CAST(SUM(usage_bytes) AS BIGINT) AS sum_usage_bytes
FROM (SELECT bucket, project_id, sum_usage_bytes AS usage_bytes
FROM (SELECT bucket, project_id, vector_store_id, MAX(usage_bytes) AS sum_usage_bytes
FROM (SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM rollup_1d
WHERE kind = ? AND ts >= ? AND ts < ? AND project_id IN (?)
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM rollup_1h
WHERE kind = ? AND ts >= ? AND ts < ? AND project_id IN (?)
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM events
WHERE kind = ? AND ts >= ? AND ts < ? AND project_id IN (?)
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM deltas
WHERE kind = ? AND ts >= ? AND ts < ? AND project_id IN (?)) AS picked
GROUP BY bucket, project_id, vector_store_id) AS stores) AS largest
GROUP BY bucket, project_id
LIMIT 1001

-- 1: 'vector_stores'
-- 2: 1780963200
-- 3: 1781481600
-- 4: 'a'
-- 5: 'vector_stores'
-- 6: 1780880400
-- 7: 1780963200
-- 8: 'a'
-- 9: 'vector_stores'
-- 10: 1780876801
-- 11: 1780880400
-- 12: 'a'
-- 13: 'vector_stores'
-- 14: 1780880400
-- 15: 1781481600
-- 16: 'a'
