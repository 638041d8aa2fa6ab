CREATE TABLE sessions (id TEXT);
