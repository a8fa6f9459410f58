WITH flows AS (SELECT ts - ts % 864000000000 AS bucket, kind, rate_id, SUM(toInt128(input_text_tokens)) AS sum_input_text_tokens, SUM(toInt128(input_audio_tokens)) AS sum_input_audio_tokens, SUM(toInt128(input_image_tokens)) AS sum_input_image_tokens, SUM(toInt128(input_cached_text_tokens)) AS sum_input_cached_text_tokens, SUM(toInt128(input_cached_audio_tokens)) AS sum_input_cached_audio_tokens, SUM(toInt128(input_cached_image_tokens)) AS sum_input_cached_image_tokens, SUM(toInt128(input_cache_write_5m_tokens)) AS sum_input_cache_write_5m_tokens, SUM(toInt128(input_cache_write_30m_tokens)) AS sum_input_cache_write_30m_tokens, SUM(toInt128(input_cache_write_1h_tokens)) AS sum_input_cache_write_1h_tokens, SUM(toInt128(input_cache_write_12h_tokens)) AS sum_input_cache_write_12h_tokens, SUM(toInt128(input_cache_write_other_tokens)) AS sum_input_cache_write_other_tokens, SUM(toInt128(output_text_tokens)) AS sum_output_text_tokens, SUM(toInt128(output_audio_tokens)) AS sum_output_audio_tokens, SUM(toInt128(output_image_tokens)) AS sum_output_image_tokens, SUM(toInt128(num_model_requests)) AS sum_num_model_requests, SUM(toInt128(images)) AS sum_images, SUM(toInt128(characters)) AS sum_characters, SUM(toInt128(seconds)) AS sum_seconds, SUM(toInt128(num_sessions)) AS sum_num_sessions, SUM(toInt128(num_requests)) AS sum_num_requests
FROM events FINAL
WHERE ts >= ? AND ts < ?
GROUP BY bucket, kind, rate_id), sizes AS (SELECT hour - hour % 864000000000 AS bucket, 'vector_stores' AS kind, rate_id, MAX(size) AS quantity
FROM (SELECT ts - ts % 3600 AS hour, project_id, vector_store_id, rate_id, MAX(usage_bytes) AS size
FROM events FINAL
WHERE ts >= ? AND ts < ? AND kind = ?
GROUP BY hour, project_id, vector_store_id, rate_id) AS seen
GROUP BY hour, project_id, vector_store_id, rate_id), parts AS (SELECT bucket, kind, rate_id, pair.1 AS part, pair.2 AS quantity
FROM flows ARRAY JOIN [('input_text_tokens', sum_input_text_tokens), ('input_audio_tokens', sum_input_audio_tokens), ('input_image_tokens', sum_input_image_tokens), ('input_cached_text_tokens', sum_input_cached_text_tokens), ('input_cached_audio_tokens', sum_input_cached_audio_tokens), ('input_cached_image_tokens', sum_input_cached_image_tokens), ('input_cache_write_5m_tokens', sum_input_cache_write_5m_tokens), ('input_cache_write_30m_tokens', sum_input_cache_write_30m_tokens), ('input_cache_write_1h_tokens', sum_input_cache_write_1h_tokens), ('input_cache_write_12h_tokens', sum_input_cache_write_12h_tokens), ('input_cache_write_other_tokens', sum_input_cache_write_other_tokens), ('output_text_tokens', sum_output_text_tokens), ('output_audio_tokens', sum_output_audio_tokens), ('output_image_tokens', sum_output_image_tokens), ('num_model_requests', sum_num_model_requests), ('images', sum_images), ('characters', sum_characters), ('seconds', sum_seconds), ('num_sessions', sum_num_sessions), ('num_requests', sum_num_requests)] AS pair
WHERE pair.2 > 0
UNION ALL SELECT bucket, kind, rate_id, 'usage_bytes' AS part, quantity
FROM sizes
WHERE quantity > 0) SELECT bucket, line_item, CAST(SUM(CASE WHEN part = 'usage_bytes' THEN 9 * (intDiv(CAST(quantity AS Int256) * rate_high, 9663676416)) ELSE CAST(quantity AS Int256) * rate_high END) AS Nullable(String)) AS high, CAST(SUM(CASE WHEN part = 'usage_bytes' THEN 9 * (intDiv(CAST((CAST(quantity AS Int256) * rate_high) % 9663676416 AS Int256) * 1000000000000 + CAST(quantity AS Int256) * rate_low + 4831838208, 9663676416)) ELSE CAST(quantity AS Int256) * rate_low END) AS Nullable(String)) AS low, CAST(SUM(CAST(quantity AS Int256)) AS Nullable(String)) AS quantities, MIN(quantity_unit) AS unit
FROM parts JOIN prices USING (rate_id, part)
GROUP BY bucket, line_item
LIMIT 1001

-- 1: 1780898400
-- 2: 1781460000
-- 3: 1780898400
-- 4: 1781460000
-- 5: 'vector_stores'
