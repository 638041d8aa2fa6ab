UPDATE sessions SET accumulated_input_tokens = 1500, accumulated_output_tokens = 120, accumulated_total_tokens = 1670, updated_at = '2026-11-21 10:00:00';
