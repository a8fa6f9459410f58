SELECT bucket, CAST(SUM(input_text_tokens) AS BIGINT) AS sum_input_text_tokens, CAST(SUM(input_audio_tokens) AS BIGINT) AS sum_input_audio_tokens, CAST(SUM(input_image_tokens) AS BIGINT) AS sum_input_image_tokens, CAST(SUM(input_cached_text_tokens) AS BIGINT) AS sum_input_cached_text_tokens, CAST(SUM(input_cached_audio_tokens) AS BIGINT) AS sum_input_cached_audio_tokens, CAST(SUM(input_cached_image_tokens) AS BIGINT) AS sum_input_cached_image_tokens, CAST(SUM(input_cache_write_5m_tokens) AS BIGINT) AS sum_input_cache_write_5m_tokens, CAST(SUM(input_cache_write_30m_tokens) AS BIGINT) AS sum_input_cache_write_30m_tokens, CAST(SUM(input_cache_write_1h_tokens) AS BIGINT) AS sum_input_cache_write_1h_tokens, CAST(SUM(input_cache_write_12h_tokens) AS BIGINT) AS sum_input_cache_write_12h_tokens, CAST(SUM(input_cache_write_other_tokens) AS BIGINT) AS sum_input_cache_write_other_tokens, CAST(SUM(output_text_tokens) AS BIGINT) AS sum_output_text_tokens, CAST(SUM(output_audio_tokens) AS BIGINT) AS sum_output_audio_tokens, CAST(SUM(output_image_tokens) AS BIGINT) AS sum_output_image_tokens, CAST(SUM(num_model_requests) AS BIGINT) AS sum_num_model_requests
FROM (SELECT ts - (ts - 1774652400) % 86400 AS bucket, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_1h
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - (ts - 1774652400) % 86400 AS bucket, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND kind = ?
UNION ALL SELECT ts - (ts - 1774738800) % 82800 AS bucket, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_1h
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - (ts - 1774738800) % 82800 AS bucket, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND kind = ?
UNION ALL SELECT ts - (ts - 1774821600) % 86400 AS bucket, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM rollup_1h
WHERE ts >= ? AND ts < ? AND kind = ?
UNION ALL SELECT ts - (ts - 1774821600) % 86400 AS bucket, input_text_tokens, input_audio_tokens, input_image_tokens, input_cached_text_tokens, input_cached_audio_tokens, input_cached_image_tokens, input_cache_write_5m_tokens, input_cache_write_30m_tokens, input_cache_write_1h_tokens, input_cache_write_12h_tokens, input_cache_write_other_tokens, output_text_tokens, output_audio_tokens, output_image_tokens, num_model_requests
FROM events
WHERE ts >= ? AND ts < ? AND commit_number > 7 AND kind = ?) AS picked
GROUP BY bucket
LIMIT 1001

-- 1: 1774652400
-- 2: 1774738800
-- 3: 'completions'
-- 4: 1774652400
-- 5: 1774738800
-- 6: 'completions'
-- 7: 1774738800
-- 8: 1774821600
-- 9: 'completions'
-- 10: 1774738800
-- 11: 1774821600
-- 12: 'completions'
-- 13: 1774821600
-- 14: 1774911600
-- 15: 'completions'
-- 16: 1774821600
-- 17: 1774911600
-- 18: 'completions'
