SELECT bucket, project_id, CAST(SUM(input_text_tokens) AS BIGINT) AS sum_input_text_tokens, CAST(SUM(input_audio_tokens) AS BIGINT) AS sum_input_audio_tokens, CAST(SUM(input_image_tokens) AS BIGINT) AS sum_input_image_tokens, CAST(SUM(input_cached_text_tokens) AS BIGINT) AS sum_input_cached_text_tokens, CAST(SUM(input_cached_audio_tokens) AS BIGINT) AS sum_input_cached_audio_tokens, CAST(SUM(input_cached_image_tokens) AS BIGINT) AS sum_input_cached_image_tokens, CAST(SUM(input_cache_write_5m_tokens) AS BIGINT) AS sum_input_cache_write_5m_tokens, CAST(SUM(input_cache_write_30m_tokens) AS BIGINT) AS sum_input_cache_write_30m_tokens, CAST(SUM(input_cache_write_1h_tokens) AS BIGINT) AS sum_input_cache_write_1h_tokens, CAST(SUM(input_cache_write_12h_tokens) AS BIGINT) AS sum_input_cache_write_12h_tokens, CAST(SUM(input_cache_write_other_tokens) AS BIGINT) AS sum_input_cache_write_other_tokens, CAST(SUM(output_text_tokens) AS BIGINT) AS sum_output_text_tokens, CAST(SUM(output_audio_tokens) AS BIGINT) AS sum_output_audio_tokens, CAST(SUM(output_image_tokens) AS BIGINT) AS sum_output_image_tokens, CAST(SUM(num_model_requests) AS BIGINT) AS sum_num_model_requests
FROM (SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_1d
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_1h
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_15m
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM events
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_1h
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_15m
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM events
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, project_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND kind = ?) AS picked
GROUP BY bucket, project_id
LIMIT 1001

-- 1: 1780963200
-- 2: 1781395200
-- 3: 'completions'
-- 4: 1780880400
-- 5: 1780963200
-- 6: 'completions'
-- 7: 1780877700
-- 8: 1780880400
-- 9: 'completions'
-- 10: 1780876861
-- 11: 1780877700
-- 12: 'completions'
-- 13: 1781395200
-- 14: 1781478000
-- 15: 'completions'
-- 16: 1781478000
-- 17: 1781480700
-- 18: 'completions'
-- 19: 1781480700
-- 20: 1781481539
-- 21: 'completions'
-- 22: 1780877700
-- 23: 1781480700
-- 24: 'completions'
