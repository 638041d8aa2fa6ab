CREATE TABLE sessions (id TEXT, updated_at TEXT, created_at TEXT, model_config_json TEXT, provider_name TEXT, working_dir TEXT,
  accumulated_input_tokens INTEGER, accumulated_output_tokens INTEGER, accumulated_total_tokens INTEGER);
INSERT INTO sessions VALUES ('g1', '2026-11-20 10:00:00', '2026-11-20 09:00:00', '{"model_name": "gpt-made-up"}', 'openai', '/home/me/acme', 1000, 100, 1150);
