SELECT bucket, project_id, CAST(SUM(usage_bytes) AS BIGINT) AS sum_usage_bytes
FROM (SELECT bucket, project_id, sum_usage_bytes AS usage_bytes
FROM (SELECT bucket, project_id, vector_store_id, MAX(usage_bytes) AS sum_usage_bytes
FROM (SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM rollup_1d
WHERE ts >= ? AND ts < ? AND kind = ? AND project_id = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM rollup_1h
WHERE ts >= ? AND ts < ? AND kind = ? AND project_id = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM rollup_15m
WHERE ts >= ? AND ts < ? AND kind = ? AND project_id = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM events
WHERE ts >= ? AND ts < ? AND kind = ? AND project_id = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, vector_store_id, usage_bytes
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND kind = ? AND project_id = ?) AS picked
GROUP BY bucket, project_id, vector_store_id) AS stores) AS largest
GROUP BY bucket, project_id
LIMIT 1001

-- 1: 1780963200
-- 2: 1781481600
-- 3: 'vector_stores'
-- 4: 'a'
-- 5: 1780880400
-- 6: 1780963200
-- 7: 'vector_stores'
-- 8: 'a'
-- 9: 1780877700
-- 10: 1780880400
-- 11: 'vector_stores'
-- 12: 'a'
-- 13: 1780876801
-- 14: 1780877700
-- 15: 'vector_stores'
-- 16: 'a'
-- 17: 1780877700
-- 18: 1781481600
-- 19: 'vector_stores'
-- 20: 'a'
