WITH flows AS (SELECT bucket, kind, rate_id, SUM(input_text_tokens) AS sum_input_text_tokens, SUM(input_audio_tokens) AS sum_input_audio_tokens, SUM(input_image_tokens) AS sum_input_image_tokens, SUM(input_cached_text_tokens) AS sum_input_cached_text_tokens, SUM(input_cached_audio_tokens) AS sum_input_cached_audio_tokens, SUM(input_cached_image_tokens) AS sum_input_cached_image_tokens, SUM(input_cache_write_5m_tokens) AS sum_input_cache_write_5m_tokens, SUM(input_cache_write_30m_tokens) AS sum_input_cache_write_30m_tokens, SUM(input_cache_write_1h_tokens) AS sum_input_cache_write_1h_tokens, SUM(input_cache_write_12h_tokens) AS sum_input_cache_write_12h_tokens, SUM(input_cache_write_other_tokens) AS sum_input_cache_write_other_tokens, SUM(output_text_tokens) AS sum_output_text_tokens, SUM(output_audio_tokens) AS sum_output_audio_tokens, SUM(output_image_tokens) AS sum_output_image_tokens, SUM(num_model_requests) AS sum_num_model_requests, SUM(images) AS sum_images, SUM(characters) AS sum_characters, SUM(seconds) AS sum_seconds, SUM(num_sessions) AS sum_num_sessions, SUM(num_requests) AS sum_num_requests
FROM (SELECT ts - ts % 864000000000 AS bucket, kind, rate_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests, images, characters, seconds, num_sessions, num_requests
FROM rollup_1d
WHERE ts >= ? AND ts < ?
UNION ALL SELECT ts - ts % 864000000000 AS bucket, kind, rate_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests, images, characters, seconds, num_sessions, num_requests
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7) AS picked
GROUP BY bucket, kind, rate_id), sizes AS (SELECT hour - hour % 864000000000 AS bucket, 'vector_stores' AS kind, rate_id, MAX(size) AS quantity
FROM (SELECT ts - ts % 3600 AS hour, project_id, vector_store_id, rate_id, MAX(usage_bytes) AS size
FROM rollup_1h
WHERE ts >= ? AND ts < ? AND kind = ?
GROUP BY hour, project_id, vector_store_id, rate_id
UNION ALL SELECT ts - ts % 3600 AS hour, project_id, vector_store_id, rate_id, MAX(usage_bytes) AS size
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND kind = ?
GROUP BY hour, project_id, vector_store_id, rate_id) AS seen
GROUP BY hour, project_id, vector_store_id, rate_id), parts AS (SELECT bucket, kind, rate_id, 'input_text_tokens' AS part, sum_input_text_tokens AS quantity
FROM flows
WHERE sum_input_text_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'input_audio_tokens' AS part, sum_input_audio_tokens AS quantity
FROM flows
WHERE sum_input_audio_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'input_image_tokens' AS part, sum_input_image_tokens AS quantity
FROM flows
WHERE sum_input_image_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'input_cached_text_tokens' AS part, sum_input_cached_text_tokens AS quantity
FROM flows
WHERE sum_input_cached_text_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'input_cached_audio_tokens' AS part, sum_input_cached_audio_tokens AS quantity
FROM flows
WHERE sum_input_cached_audio_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'input_cached_image_tokens' AS part, sum_input_cached_image_tokens AS quantity
FROM flows
WHERE sum_input_cached_image_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'input_cache_write_5m_tokens' AS part, sum_input_cache_write_5m_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_5m_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'input_cache_write_30m_tokens' AS part, sum_input_cache_write_30m_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_30m_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'input_cache_write_1h_tokens' AS part, sum_input_cache_write_1h_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_1h_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'input_cache_write_12h_tokens' AS part, sum_input_cache_write_12h_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_12h_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'input_cache_write_other_tokens' AS part, sum_input_cache_write_other_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_other_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'output_text_tokens' AS part, sum_output_text_tokens AS quantity
FROM flows
WHERE sum_output_text_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'output_audio_tokens' AS part, sum_output_audio_tokens AS quantity
FROM flows
WHERE sum_output_audio_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'output_image_tokens' AS part, sum_output_image_tokens AS quantity
FROM flows
WHERE sum_output_image_tokens > 0
UNION ALL SELECT bucket, kind, rate_id, 'num_model_requests' AS part, sum_num_model_requests AS quantity
FROM flows
WHERE sum_num_model_requests > 0
UNION ALL SELECT bucket, kind, rate_id, 'images' AS part, sum_images AS quantity
FROM flows
WHERE sum_images > 0
UNION ALL SELECT bucket, kind, rate_id, 'characters' AS part, sum_characters AS quantity
FROM flows
WHERE sum_characters > 0
UNION ALL SELECT bucket, kind, rate_id, 'seconds' AS part, sum_seconds AS quantity
FROM flows
WHERE sum_seconds > 0
UNION ALL SELECT bucket, kind, rate_id, 'num_sessions' AS part, sum_num_sessions AS quantity
FROM flows
WHERE sum_num_sessions > 0
UNION ALL SELECT bucket, kind, rate_id, 'num_requests' AS part, sum_num_requests AS quantity
FROM flows
WHERE sum_num_requests > 0
UNION ALL SELECT bucket, kind, rate_id, 'usage_bytes' AS part, quantity
FROM sizes
WHERE quantity > 0) SELECT kind, rate_id, part, CAST(SUM(CAST(quantity AS HUGEINT)) AS VARCHAR) AS quantities
FROM parts ANTI JOIN prices USING (rate_id, part)
WHERE part NOT IN ('num_model_requests') AND rate_id <= 99
GROUP BY kind, rate_id, part ORDER BY kind, rate_id, part
LIMIT 1001

-- 1: 1780876800
-- 2: 1781481600
-- 3: 1780876800
-- 4: 1781481600
-- 5: 1780876800
-- 6: 1781481600
-- 7: 'vector_stores'
-- 8: 1780876800
-- 9: 1781481600
-- 10: 'vector_stores'
