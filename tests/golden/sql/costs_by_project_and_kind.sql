WITH flows AS (SELECT bucket, kind, project_id, rate_id, SUM(input_text_tokens) AS sum_input_text_tokens, SUM(input_audio_tokens) AS sum_input_audio_tokens, SUM(input_image_tokens) AS sum_input_image_tokens, SUM(input_cached_text_tokens) AS sum_input_cached_text_tokens, SUM(input_cached_audio_tokens) AS sum_input_cached_audio_tokens, SUM(input_cached_image_tokens) AS sum_input_cached_image_tokens, SUM(input_cache_write_5m_tokens) AS sum_input_cache_write_5m_tokens, SUM(input_cache_write_30m_tokens) AS sum_input_cache_write_30m_tokens, SUM(input_cache_write_1h_tokens) AS sum_input_cache_write_1h_tokens, SUM(input_cache_write_12h_tokens) AS sum_input_cache_write_12h_tokens, SUM(input_cache_write_other_tokens) AS sum_input_cache_write_other_tokens, SUM(output_text_tokens) AS sum_output_text_tokens, SUM(output_audio_tokens) AS sum_output_audio_tokens, SUM(output_image_tokens) AS sum_output_image_tokens, SUM(num_model_requests) AS sum_num_model_requests, SUM(images) AS sum_images, SUM(characters) AS sum_characters, SUM(seconds) AS sum_seconds, SUM(num_sessions) AS sum_num_sessions, SUM(num_requests) AS sum_num_requests
FROM (SELECT ts - ts % 86400 AS bucket, kind, project_id, rate_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests, images, characters, seconds, num_sessions, num_requests
FROM rollup_1d
WHERE ts >= ? AND ts < ? AND project_id IN (?, ?)
UNION ALL SELECT ts - ts % 86400 AS bucket, kind, project_id, rate_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests, images, characters, seconds, num_sessions, num_requests
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND project_id IN (?, ?)) AS picked
GROUP BY bucket, kind, project_id, rate_id), sizes AS (SELECT hour - hour % 86400 AS bucket, 'vector_stores' AS kind, project_id, rate_id, MAX(size) AS quantity
FROM (SELECT ts - ts % 3600 AS hour, project_id, vector_store_id, rate_id, MAX(usage_bytes) AS size
FROM rollup_1h
WHERE ts >= ? AND ts < ? AND kind = ? AND project_id IN (?, ?)
GROUP BY hour, project_id, vector_store_id, rate_id
UNION ALL SELECT ts - ts % 3600 AS hour, project_id, vector_store_id, rate_id, MAX(usage_bytes) AS size
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND kind = ? AND project_id IN (?, ?)
GROUP BY hour, project_id, vector_store_id, rate_id) AS seen
GROUP BY hour, project_id, vector_store_id, rate_id), parts AS (SELECT bucket, kind, project_id, rate_id, 'input_text_tokens' AS part, sum_input_text_tokens AS quantity
FROM flows
WHERE sum_input_text_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'input_audio_tokens' AS part, sum_input_audio_tokens AS quantity
FROM flows
WHERE sum_input_audio_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'input_image_tokens' AS part, sum_input_image_tokens AS quantity
FROM flows
WHERE sum_input_image_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'input_cached_text_tokens' AS part, sum_input_cached_text_tokens AS quantity
FROM flows
WHERE sum_input_cached_text_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'input_cached_audio_tokens' AS part, sum_input_cached_audio_tokens AS quantity
FROM flows
WHERE sum_input_cached_audio_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'input_cached_image_tokens' AS part, sum_input_cached_image_tokens AS quantity
FROM flows
WHERE sum_input_cached_image_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'input_cache_write_5m_tokens' AS part, sum_input_cache_write_5m_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_5m_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'input_cache_write_30m_tokens' AS part, sum_input_cache_write_30m_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_30m_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'input_cache_write_1h_tokens' AS part, sum_input_cache_write_1h_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_1h_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'input_cache_write_12h_tokens' AS part, sum_input_cache_write_12h_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_12h_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'input_cache_write_other_tokens' AS part, sum_input_cache_write_other_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_other_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'output_text_tokens' AS part, sum_output_text_tokens AS quantity
FROM flows
WHERE sum_output_text_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'output_audio_tokens' AS part, sum_output_audio_tokens AS quantity
FROM flows
WHERE sum_output_audio_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'output_image_tokens' AS part, sum_output_image_tokens AS quantity
FROM flows
WHERE sum_output_image_tokens > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'num_model_requests' AS part, sum_num_model_requests AS quantity
FROM flows
WHERE sum_num_model_requests > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'images' AS part, sum_images AS quantity
FROM flows
WHERE sum_images > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'characters' AS part, sum_characters AS quantity
FROM flows
WHERE sum_characters > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'seconds' AS part, sum_seconds AS quantity
FROM flows
WHERE sum_seconds > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'num_sessions' AS part, sum_num_sessions AS quantity
FROM flows
WHERE sum_num_sessions > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'num_requests' AS part, sum_num_requests AS quantity
FROM flows
WHERE sum_num_requests > 0
UNION ALL SELECT bucket, kind, project_id, rate_id, 'usage_bytes' AS part, quantity
FROM sizes
WHERE quantity > 0) SELECT bucket, project_id, kind, CAST(SUM(CASE WHEN part = 'usage_bytes' THEN 9 * ((CAST(quantity AS HUGEINT) * rate_high) // 9663676416) ELSE CAST(quantity AS HUGEINT) * rate_high END) AS VARCHAR) AS high, CAST(SUM(CASE WHEN part = 'usage_bytes' THEN 9 * ((CAST((CAST(quantity AS HUGEINT) * rate_high) % 9663676416 AS HUGEINT) * 1000000000000 + CAST(quantity AS HUGEINT) * rate_low + 4831838208) // 9663676416) ELSE CAST(quantity AS HUGEINT) * rate_low END) AS VARCHAR) AS low
FROM parts JOIN prices USING (rate_id, part)
GROUP BY bucket, project_id, kind
LIMIT 1001

-- 1: 1780876800
-- 2: 1781481600
-- 3: 'a'
-- 4: 'b'
-- 5: 1780876800
-- 6: 1781481600
-- 7: 'a'
-- 8: 'b'
-- 9: 1780876800
-- 10: 1781481600
-- 11: 'vector_stores'
-- 12: 'a'
-- 13: 'b'
-- 14: 1780876800
-- 15: 1781481600
-- 16: 'vector_stores'
-- 17: 'a'
-- 18: 'b'
