SELECT bucket, user_id, CAST(SUM(input_text_tokens) AS BIGINT) AS sum_input_text_tokens, CAST(SUM(input_audio_tokens) AS BIGINT) AS sum_input_audio_tokens, CAST(SUM(input_image_tokens) AS BIGINT) AS sum_input_image_tokens, CAST(SUM(input_cached_text_tokens) AS BIGINT) AS sum_input_cached_text_tokens, CAST(SUM(input_cached_audio_tokens) AS BIGINT) AS sum_input_cached_audio_tokens, CAST(SUM(input_cached_image_tokens) AS BIGINT) AS sum_input_cached_image_tokens, CAST(SUM(input_cache_write_5m_tokens) AS BIGINT) AS sum_input_cache_write_5m_tokens, CAST(SUM(input_cache_write_30m_tokens) AS BIGINT) AS sum_input_cache_write_30m_tokens, CAST(SUM(input_cache_write_1h_tokens) AS BIGINT) AS sum_input_cache_write_1h_tokens, CAST(SUM(input_cache_write_12h_tokens) AS BIGINT) AS sum_input_cache_write_12h_tokens, CAST(SUM(input_cache_write_other_tokens) AS BIGINT) AS sum_input_cache_write_other_tokens, CAST(SUM(output_text_tokens) AS BIGINT) AS sum_output_text_tokens, CAST(SUM(output_audio_tokens) AS BIGINT) AS sum_output_audio_tokens, CAST(SUM(output_image_tokens) AS BIGINT) AS sum_output_image_tokens, CAST(SUM(num_model_requests) AS BIGINT) AS sum_num_model_requests
FROM (SELECT ts - ts % 86400 AS bucket, user_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_keys_1d
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, user_id, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 5 AND kind = ?) AS picked
GROUP BY bucket, user_id
LIMIT 1001

-- 1: 1780876800
-- 2: 1781481600
-- 3: 'completions'
-- 4: 1780876800
-- 5: 1781481600
-- 6: 'completions'
