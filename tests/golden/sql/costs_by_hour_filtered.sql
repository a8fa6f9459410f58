WITH flows AS (SELECT ts - ts % 3600 AS bucket, kind, project_id, model, rate_id, SUM(input_text_tokens) AS sum_input_text_tokens, SUM(input_audio_tokens) AS sum_input_audio_tokens, SUM(input_image_tokens) AS sum_input_image_tokens, SUM(input_cached_text_tokens) AS sum_input_cached_text_tokens, SUM(input_cached_audio_tokens) AS sum_input_cached_audio_tokens, SUM(input_cached_image_tokens) AS sum_input_cached_image_tokens, SUM(input_cache_write_5m_tokens) AS sum_input_cache_write_5m_tokens, SUM(input_cache_write_30m_tokens) AS sum_input_cache_write_30m_tokens, SUM(input_cache_write_1h_tokens) AS sum_input_cache_write_1h_tokens, SUM(input_cache_write_12h_tokens) AS sum_input_cache_write_12h_tokens, SUM(input_cache_write_other_tokens) AS sum_input_cache_write_other_tokens, SUM(output_text_tokens) AS sum_output_text_tokens, SUM(output_audio_tokens) AS sum_output_audio_tokens, SUM(output_image_tokens) AS sum_output_image_tokens, SUM(num_model_requests) AS sum_num_model_requests, SUM(images) AS sum_images, SUM(characters) AS sum_characters, SUM(seconds) AS sum_seconds, SUM(num_sessions) AS sum_num_sessions, SUM(num_requests) AS sum_num_requests
FROM events
WHERE ts >= ? AND ts < ? AND user_id = ?
GROUP BY bucket, kind, project_id, model, rate_id), parts AS (SELECT bucket, kind, project_id, model, rate_id, 'input_text_tokens' AS part, sum_input_text_tokens AS quantity
FROM flows
WHERE sum_input_text_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'input_audio_tokens' AS part, sum_input_audio_tokens AS quantity
FROM flows
WHERE sum_input_audio_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'input_image_tokens' AS part, sum_input_image_tokens AS quantity
FROM flows
WHERE sum_input_image_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'input_cached_text_tokens' AS part, sum_input_cached_text_tokens AS quantity
FROM flows
WHERE sum_input_cached_text_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'input_cached_audio_tokens' AS part, sum_input_cached_audio_tokens AS quantity
FROM flows
WHERE sum_input_cached_audio_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'input_cached_image_tokens' AS part, sum_input_cached_image_tokens AS quantity
FROM flows
WHERE sum_input_cached_image_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'input_cache_write_5m_tokens' AS part, sum_input_cache_write_5m_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_5m_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'input_cache_write_30m_tokens' AS part, sum_input_cache_write_30m_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_30m_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'input_cache_write_1h_tokens' AS part, sum_input_cache_write_1h_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_1h_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'input_cache_write_12h_tokens' AS part, sum_input_cache_write_12h_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_12h_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'input_cache_write_other_tokens' AS part, sum_input_cache_write_other_tokens AS quantity
FROM flows
WHERE sum_input_cache_write_other_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'output_text_tokens' AS part, sum_output_text_tokens AS quantity
FROM flows
WHERE sum_output_text_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'output_audio_tokens' AS part, sum_output_audio_tokens AS quantity
FROM flows
WHERE sum_output_audio_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'output_image_tokens' AS part, sum_output_image_tokens AS quantity
FROM flows
WHERE sum_output_image_tokens > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'num_model_requests' AS part, sum_num_model_requests AS quantity
FROM flows
WHERE sum_num_model_requests > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'images' AS part, sum_images AS quantity
FROM flows
WHERE sum_images > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'characters' AS part, sum_characters AS quantity
FROM flows
WHERE sum_characters > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'seconds' AS part, sum_seconds AS quantity
FROM flows
WHERE sum_seconds > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'num_sessions' AS part, sum_num_sessions AS quantity
FROM flows
WHERE sum_num_sessions > 0
UNION ALL SELECT bucket, kind, project_id, model, rate_id, 'num_requests' AS part, sum_num_requests AS quantity
FROM flows
WHERE sum_num_requests > 0) SELECT bucket, project_id, model, CAST(SUM(CASE WHEN part = 'usage_bytes' THEN 9 * ((CAST(quantity AS HUGEINT) * rate_high) // 9663676416) ELSE CAST(quantity AS HUGEINT) * rate_high END) AS VARCHAR) AS high, CAST(SUM(CASE WHEN part = 'usage_bytes' THEN 9 * ((CAST((CAST(quantity AS HUGEINT) * rate_high) % 9663676416 AS HUGEINT) * 1000000000000 + CAST(quantity AS HUGEINT) * rate_low + 4831838208) // 9663676416) ELSE CAST(quantity AS HUGEINT) * rate_low END) AS VARCHAR) AS low
FROM parts JOIN prices USING (rate_id, part)
WHERE line_item IN (?)
GROUP BY bucket, project_id, model
LIMIT 1001

-- 1: 1780876800
-- 2: 1780963200
-- 3: 'u'
-- 4: 'a, input'
