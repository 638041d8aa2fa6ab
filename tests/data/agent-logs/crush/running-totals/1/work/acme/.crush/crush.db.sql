CREATE TABLE sessions (id TEXT PRIMARY KEY, parent_session_id TEXT, prompt_tokens INTEGER, completion_tokens INTEGER, cost REAL, updated_at INTEGER);
CREATE TABLE messages (id TEXT, session_id TEXT, model TEXT, provider TEXT, created_at INTEGER);
INSERT INTO sessions VALUES ('c1', NULL, 100, 10, 0.5, 1795168800), ('c2', 'c1', 90, 9, 0.4, 1795168800);
INSERT INTO messages VALUES ('m1', 'c1', 'gpt-made-up', 'openai', 1795168800);
