SELECT *
FROM (SELECT ts - (ts - 1774652400) % 86400 AS bucket, accurateCast(SUM(toInt128(input_text_tokens)), 'Int64') AS sum_input_text_tokens, accurateCast(SUM(toInt128(input_audio_tokens)), 'Int64') AS sum_input_audio_tokens, accurateCast(SUM(toInt128(input_image_tokens)), 'Int64') AS sum_input_image_tokens, accurateCast(SUM(toInt128(input_cached_text_tokens)), 'Int64') AS sum_input_cached_text_tokens, accurateCast(SUM(toInt128(input_cached_audio_tokens)), 'Int64') AS sum_input_cached_audio_tokens, accurateCast(SUM(toInt128(input_cached_image_tokens)), 'Int64') AS sum_input_cached_image_tokens, accurateCast(SUM(toInt128(input_cache_write_5m_tokens)), 'Int64') AS sum_input_cache_write_5m_tokens, accurateCast(SUM(toInt128(input_cache_write_30m_tokens)), 'Int64') AS sum_input_cache_write_30m_tokens, accurateCast(SUM(toInt128(input_cache_write_1h_tokens)), 'Int64') AS sum_input_cache_write_1h_tokens, accurateCast(SUM(toInt128(input_cache_write_12h_tokens)), 'Int64') AS sum_input_cache_write_12h_tokens, accurateCast(SUM(toInt128(input_cache_write_other_tokens)), 'Int64') AS sum_input_cache_write_other_tokens, accurateCast(SUM(toInt128(output_text_tokens)), 'Int64') AS sum_output_text_tokens, accurateCast(SUM(toInt128(output_audio_tokens)), 'Int64') AS sum_output_audio_tokens, accurateCast(SUM(toInt128(output_image_tokens)), 'Int64') AS sum_output_image_tokens, accurateCast(SUM(toInt128(num_model_requests)), 'Int64') AS sum_num_model_requests
FROM events FINAL
WHERE ts >= ? AND ts < ? AND kind = ?
GROUP BY bucket
UNION ALL SELECT ts - (ts - 1774738800) % 82800 AS bucket, accurateCast(SUM(toInt128(input_text_tokens)), 'Int64') AS sum_input_text_tokens, accurateCast(SUM(toInt128(input_audio_tokens)), 'Int64') AS sum_input_audio_tokens, accurateCast(SUM(toInt128(input_image_tokens)), 'Int64') AS sum_input_image_tokens, accurateCast(SUM(toInt128(input_cached_text_tokens)), 'Int64') AS sum_input_cached_text_tokens, accurateCast(SUM(toInt128(input_cached_audio_tokens)), 'Int64') AS sum_input_cached_audio_tokens, accurateCast(SUM(toInt128(input_cached_image_tokens)), 'Int64') AS sum_input_cached_image_tokens, accurateCast(SUM(toInt128(input_cache_write_5m_tokens)), 'Int64') AS sum_input_cache_write_5m_tokens, accurateCast(SUM(toInt128(input_cache_write_30m_tokens)), 'Int64') AS sum_input_cache_write_30m_tokens, accurateCast(SUM(toInt128(input_cache_write_1h_tokens)), 'Int64') AS sum_input_cache_write_1h_tokens, accurateCast(SUM(toInt128(input_cache_write_12h_tokens)), 'Int64') AS sum_input_cache_write_12h_tokens, accurateCast(SUM(toInt128(input_cache_write_other_tokens)), 'Int64') AS sum_input_cache_write_other_tokens, accurateCast(SUM(toInt128(output_text_tokens)), 'Int64') AS sum_output_text_tokens, accurateCast(SUM(toInt128(output_audio_tokens)), 'Int64') AS sum_output_audio_tokens, accurateCast(SUM(toInt128(output_image_tokens)), 'Int64') AS sum_output_image_tokens, accurateCast(SUM(toInt128(num_model_requests)), 'Int64') AS sum_num_model_requests
FROM events FINAL
WHERE ts >= ? AND ts < ? AND kind = ?
GROUP BY bucket
UNION ALL SELECT ts - (ts - 1774821600) % 86400 AS bucket, accurateCast(SUM(toInt128(input_text_tokens)), 'Int64') AS sum_input_text_tokens, accurateCast(SUM(toInt128(input_audio_tokens)), 'Int64') AS sum_input_audio_tokens, accurateCast(SUM(toInt128(input_image_tokens)), 'Int64') AS sum_input_image_tokens, accurateCast(SUM(toInt128(input_cached_text_tokens)), 'Int64') AS sum_input_cached_text_tokens, accurateCast(SUM(toInt128(input_cached_audio_tokens)), 'Int64') AS sum_input_cached_audio_tokens, accurateCast(SUM(toInt128(input_cached_image_tokens)), 'Int64') AS sum_input_cached_image_tokens, accurateCast(SUM(toInt128(input_cache_write_5m_tokens)), 'Int64') AS sum_input_cache_write_5m_tokens, accurateCast(SUM(toInt128(input_cache_write_30m_tokens)), 'Int64') AS sum_input_cache_write_30m_tokens, accurateCast(SUM(toInt128(input_cache_write_1h_tokens)), 'Int64') AS sum_input_cache_write_1h_tokens, accurateCast(SUM(toInt128(input_cache_write_12h_tokens)), 'Int64') AS sum_input_cache_write_12h_tokens, accurateCast(SUM(toInt128(input_cache_write_other_tokens)), 'Int64') AS sum_input_cache_write_other_tokens, accurateCast(SUM(toInt128(output_text_tokens)), 'Int64') AS sum_output_text_tokens, accurateCast(SUM(toInt128(output_audio_tokens)), 'Int64') AS sum_output_audio_tokens, accurateCast(SUM(toInt128(output_image_tokens)), 'Int64') AS sum_output_image_tokens, accurateCast(SUM(toInt128(num_model_requests)), 'Int64') AS sum_num_model_requests
FROM events FINAL
WHERE ts >= ? AND ts < ? AND kind = ?
GROUP BY bucket) AS runs
LIMIT 1001

-- 1: 1774652400
-- 2: 1774738800
-- 3: 'completions'
-- 4: 1774738800
-- 5: 1774821600
-- 6: 'completions'
-- 7: 1774821600
-- 8: 1774911600
-- 9: 'completions'
