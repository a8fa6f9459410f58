SELECT bucket, project_id, CAST(SUM(input_text_tokens) AS BIGINT) AS sum_input_text_tokens, CAST(SUM(input_audio_tokens) AS BIGINT) AS sum_input_audio_tokens, CAST(SUM(input_image_tokens) AS BIGINT) AS sum_input_image_tokens, CAST(SUM(input_cached_text_tokens) AS BIGINT) AS sum_input_cached_text_tokens, CAST(SUM(input_cached_audio_tokens) AS BIGINT) AS sum_input_cached_audio_tokens, CAST(SUM(input_cached_image_tokens) AS BIGINT) AS sum_input_cached_image_tokens, CAST(SUM(input_cache_write_30m_tokens) AS BIGINT) AS sum_input_cache_write_30m_tokens, CAST(SUM(input_cache_write_12h_tokens) AS BIGINT) AS sum_input_cache_write_12h_tokens, CAST(SUM(input_cache_write_other_tokens) AS BIGINT) AS sum_input_cache_write_other_tokens, CAST(SUM(output_text_tokens) AS BIGINT) AS sum_output_text_tokens, CAST(SUM(output_audio_tokens) AS BIGINT) AS sum_output_audio_tokens, CAST(SUM(output_image_tokens) AS BIGINT) AS sum_output_image_tokens, CAST(SUM(num_model_requests) AS BIGINT) AS sum_num_model_requests
FROM (SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_30m_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_1d
WHERE kind = ? AND ts >= ? AND ts < ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_30m_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_1h
WHERE kind = ? AND ts >= ? AND ts < ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_30m_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM events
WHERE kind = ? AND ts >= ? AND ts < ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_30m_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_1h
WHERE kind = ? AND ts >= ? AND ts < ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_30m_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM events
WHERE kind = ? AND ts >= ? AND ts < ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_30m_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM deltas
WHERE kind = ? AND ts >= ? AND ts < ?) AS picked
GROUP BY bucket, project_id
LIMIT 1001

-- 1: 'completions'
-- 2: 1780963200
-- 3: 1781395200
-- 4: 'completions'
-- 5: 1780880400
-- 6: 1780963200
-- 7: 'completions'
-- 8: 1780876861
-- 9: 1780880400
-- 10: 'completions'
-- 11: 1781395200
-- 12: 1781478000
-- 13: 'completions'
-- 14: 1781478000
-- 15: 1781481539
-- 16: 'completions'
-- 17: 1780880400
-- 18: 1781478000
