SELECT ts - ts % 3600 AS bucket, accurateCast(SUM(toInt128(input_text_tokens)), 'Int64') AS sum_input_text_tokens, accurateCast(SUM(toInt128(num_model_requests)), 'Int64') AS sum_num_model_requests
FROM events FINAL
WHERE ts >= ? AND ts < ? AND kind = ?
GROUP BY bucket
LIMIT 1001

-- 1: 1781395200
-- 2: 1781481600
-- 3: 'embeddings'
