CREATE TABLE sessions (id TEXT, cwd TEXT);
CREATE TABLE assistant_usage_events (id INTEGER PRIMARY KEY, session_id TEXT, created_at TEXT, model TEXT, input_tokens INTEGER,
  output_tokens INTEGER, cache_read_tokens INTEGER, cache_write_tokens INTEGER, reasoning_tokens INTEGER);
CREATE TABLE auth (token TEXT);
INSERT INTO auth VALUES ('canary');
INSERT INTO sessions VALUES ('a', '/home/me/acme');
INSERT INTO assistant_usage_events VALUES
  (1, 'a', '2026-11-20T10:00:00.000Z', 'gpt-made-up', 100, 10, 40, 5, 3),
  (2, 'a', '2026-11-20T10:01:00.000Z', 'gpt-made-up', 200, 20, 80, 0, 0);
