-- What agents' logs tell of, beside what passed the gateway. Published: changes are new files beside it.

-- The provider's own id of a request that passed the gateway, by which a log names it, too.
ALTER TABLE record ADD COLUMN upstream_id TEXT;
-- 1 where a plan covers the request: its cost is what it would be at API prices, and is not billed.
ALTER TABLE record ADD COLUMN is_planned INTEGER NOT NULL DEFAULT 0;
CREATE INDEX record_upstream ON record (provider, upstream_id) WHERE upstream_id IS NOT NULL;
CREATE INDEX record_at ON record (at);
CREATE INDEX record_session ON record (session) WHERE session <> 0;

-- In all sums: requests that a plan covers, and their cost at API prices. They are in no other column of cost.
ALTER TABLE rollup ADD COLUMN plan_requests          INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN plan_cost              INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN plan_unpriced_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE total ADD COLUMN plan_requests           INTEGER NOT NULL DEFAULT 0;
ALTER TABLE total ADD COLUMN plan_cost               INTEGER NOT NULL DEFAULT 0;
ALTER TABLE total ADD COLUMN plan_unpriced_requests  INTEGER NOT NULL DEFAULT 0;

-- Other names of requests that are recorded, or were before they were pruned (record 0): they count once.
CREATE TABLE same_request (
    provider   INTEGER NOT NULL,                -- a name
    request_id TEXT    NOT NULL,
    record     INTEGER NOT NULL,
    PRIMARY KEY (provider, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX same_request_record ON same_request (record) WHERE record <> 0;

-- Up to where logs are read.
CREATE TABLE log_file (
    path     BLOB    PRIMARY KEY,
    device   INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    modified INTEGER NOT NULL,                  -- nanoseconds since 1970
    read_to  INTEGER NOT NULL,                  -- where reading goes on; 0 where it is read whole
    checksum INTEGER NOT NULL                   -- of its beginning, and of what stands before `read_to`
) STRICT, WITHOUT ROWID;
-- What sessions had used in all when they were last read, of agents that log no requests.
CREATE TABLE log_counter (
    agent              TEXT    NOT NULL,
    session            TEXT    NOT NULL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cache_read_tokens  INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens   INTEGER NOT NULL,
    cost               INTEGER NOT NULL,        -- nano-dollars
    PRIMARY KEY (agent, session)
) STRICT, WITHOUT ROWID;
-- The last record that was compared with those from logs.
ALTER TABLE meta ADD COLUMN compared INTEGER NOT NULL DEFAULT 0;
