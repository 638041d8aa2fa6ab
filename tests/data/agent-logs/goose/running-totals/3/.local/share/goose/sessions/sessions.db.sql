UPDATE sessions SET accumulated_input_tokens = 10, accumulated_total_tokens = 130;
