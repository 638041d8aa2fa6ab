INSERT INTO assistant_usage_events VALUES (3, 'a', '2026-11-20T10:02:00.000Z', 'gpt-made-up', 7, 7, 0, 0, 0);
