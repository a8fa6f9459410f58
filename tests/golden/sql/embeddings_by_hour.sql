SELECT bucket, CAST(SUM(input_text_tokens) AS BIGINT) AS sum_input_text_tokens, CAST(SUM(num_model_requests) AS BIGINT) AS sum_num_model_requests
FROM (SELECT ts - ts % 3600 AS bucket, input_text_tokens, num_model_requests
FROM rollup_1h
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - ts % 3600 AS bucket, input_text_tokens, num_model_requests
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND kind = ?) AS picked
GROUP BY bucket
LIMIT 1001

-- 1: 1781395200
-- 2: 1781481600
-- 3: 'embeddings'
-- 4: 1781395200
-- 5: 1781481600
-- 6: 'embeddings'
