SELECT ts - ts % 86400 AS bucket, project_id, accurateCast(SUM(toInt128(input_text_tokens)), 'Int64') AS sum_input_text_tokens, accurateCast(SUM(toInt128(input_audio_tokens)), 'Int64') AS sum_input_audio_tokens, accurateCast(SUM(toInt128(input_image_tokens)), 'Int64') AS sum_input_image_tokens, accurateCast(SUM(toInt128(input_cached_text_tokens)), 'Int64') AS sum_input_cached_text_tokens, accurateCast(SUM(toInt128(input_cached_audio_tokens)), 'Int64') AS sum_input_cached_audio_tokens, accurateCast(SUM(toInt128(input_cached_image_tokens)), 'Int64') AS sum_input_cached_image_tokens, accurateCast(SUM(toInt128(input_cache_write_5m_tokens)), 'Int64') AS sum_input_cache_write_5m_tokens, accurateCast(SUM(toInt128(input_cache_write_30m_tokens)), 'Int64') AS sum_input_cache_write_30m_tokens, accurateCast(SUM(toInt128(input_cache_write_1h_tokens)), 'Int64') AS sum_input_cache_write_1h_tokens, accurateCast(SUM(toInt128(input_cache_write_12h_tokens)), 'Int64') AS sum_input_cache_write_12h_tokens, accurateCast(SUM(toInt128(input_cache_write_other_tokens)), 'Int64') AS sum_input_cache_write_other_tokens, accurateCast(SUM(toInt128(output_text_tokens)), 'Int64') AS sum_output_text_tokens, accurateCast(SUM(toInt128(output_audio_tokens)), 'Int64') AS sum_output_audio_tokens, accurateCast(SUM(toInt128(output_image_tokens)), 'Int64') AS sum_output_image_tokens, accurateCast(SUM(toInt128(num_model_requests)), 'Int64') AS sum_num_model_requests
FROM events FINAL
WHERE ts >= ? AND ts < ? AND kind = ?
GROUP BY bucket, project_id
LIMIT 1001

-- 1: 1780876861
-- 2: 1781481539
-- 3: 'completions'
