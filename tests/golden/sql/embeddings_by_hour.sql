SELECT bucket, CAST(SUM(input_text_tokens) AS BIGINT) AS sum_input_text_tokens, CAST(SUM(num_model_requests) AS BIGINT) AS sum_num_model_requests
FROM (SELECT ts - ts % 3600 AS bucket, input_text_tokens, num_model_requests
FROM rollup_1h
WHERE kind = ? AND ts >= ? AND ts < ?
UNION ALL SELECT ts - ts % 3600 AS bucket, input_text_tokens, num_model_requests
FROM deltas
WHERE kind = ? AND ts >= ? AND ts < ?) AS picked
GROUP BY bucket
LIMIT 1001

-- 1: 'embeddings'
-- 2: 1781395200
-- 3: 1781481600
-- 4: 'embeddings'
-- 5: 1781395200
-- 6: 1781481600
