SELECT bucket, service_tier, CAST(SUM(input_text_tokens) AS BIGINT) AS sum_input_text_tokens, CAST(SUM(input_audio_tokens) AS BIGINT) AS sum_input_audio_tokens, CAST(SUM(input_image_tokens) AS BIGINT) AS sum_input_image_tokens, CAST(SUM(input_cached_text_tokens) AS BIGINT) AS sum_input_cached_text_tokens, CAST(SUM(input_cached_audio_tokens) AS BIGINT) AS sum_input_cached_audio_tokens, CAST(SUM(input_cached_image_tokens) AS BIGINT) AS sum_input_cached_image_tokens, CAST(SUM(input_cache_write_5m_tokens) AS BIGINT) AS sum_input_cache_write_5m_tokens, CAST(SUM(input_cache_write_30m_tokens) AS BIGINT) AS sum_input_cache_write_30m_tokens, CAST(SUM(input_cache_write_1h_tokens) AS BIGINT) AS sum_input_cache_write_1h_tokens, CAST(SUM(input_cache_write_12h_tokens) AS BIGINT) AS sum_input_cache_write_12h_tokens, CAST(SUM(input_cache_write_other_tokens) AS BIGINT) AS sum_input_cache_write_other_tokens, CAST(SUM(output_text_tokens) AS BIGINT) AS sum_output_text_tokens, CAST(SUM(output_audio_tokens) AS BIGINT) AS sum_output_audio_tokens, CAST(SUM(output_image_tokens) AS BIGINT) AS sum_output_image_tokens, CAST(SUM(num_model_requests) AS BIGINT) AS sum_num_model_requests
FROM (SELECT ts - ts % 86400 AS bucket, service_tier, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_1d
WHERE ts >= ? AND ts < ? AND kind = ? AND project_id IN (?, ?) AND model = ? AND batch = ?
UNION ALL SELECT ts - ts % 86400 AS bucket, service_tier, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND kind = ? AND project_id IN (?, ?) AND model = ? AND batch = ?) AS picked
GROUP BY bucket, service_tier
LIMIT 1001

-- 1: 1780876800
-- 2: 1781481600
-- 3: 'completions'
-- 4: 'a'
-- 5: 'b'
-- 6: "it's"
-- 7: False
-- 8: 1780876800
-- 9: 1781481600
-- 10: 'completions'
-- 11: 'a'
-- 12: 'b'
-- 13: "it's"
-- 14: False
