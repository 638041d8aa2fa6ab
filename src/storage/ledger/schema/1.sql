-- The ledger's first schema. Published: changes are new files beside it.

CREATE TABLE meta (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    ledger       BLOB    NOT NULL,              -- tells this ledger from every other
    changes      INTEGER NOT NULL,              -- counts the transactions
    records      INTEGER NOT NULL,              -- numbers given out so far
    reservations INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, randomblob(16), 0, 0, 0);

-- Texts that come again and again; never removed. 0 stands for none.
CREATE TABLE name (
    id   INTEGER PRIMARY KEY,
    text TEXT    NOT NULL UNIQUE
) STRICT;

-- What records have in common that are counted together, as names; never removed.
CREATE TABLE series (
    id       INTEGER PRIMARY KEY,
    provider INTEGER NOT NULL,
    model    INTEGER NOT NULL,
    label    INTEGER NOT NULL,
    task     INTEGER NOT NULL,
    project  INTEGER NOT NULL,
    client   INTEGER NOT NULL,
    source   INTEGER NOT NULL,
    UNIQUE (provider, model, label, task, project, client, source)
) STRICT;

CREATE TABLE record (
    id                    INTEGER PRIMARY KEY,
    at                    INTEGER NOT NULL,     -- milliseconds since 1970
    series                INTEGER NOT NULL,
    session               INTEGER NOT NULL,     -- a name
    service               INTEGER NOT NULL,     -- a name
    input_tokens          INTEGER NOT NULL,
    output_tokens         INTEGER NOT NULL,
    cache_read_tokens     INTEGER NOT NULL,
    cache_write_tokens    INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    reasoning_tokens      INTEGER NOT NULL,
    cost                  INTEGER,              -- nano-dollars, where it is known
    basis                 INTEGER NOT NULL,     -- of the cost: 0 for tokens as counted, 1 for an estimate of them
    price                 INTEGER NOT NULL,     -- a name
    success               INTEGER NOT NULL,
    status_code           INTEGER,
    latency_ms            INTEGER,
    provider              INTEGER NOT NULL,     -- that of the series
    request_id            TEXT
) STRICT;
-- The text itself, not a hash of it: exact, and what is in the way can be looked at.
CREATE UNIQUE INDEX record_request ON record (provider, request_id) WHERE request_id IS NOT NULL;

-- Sums over records, which stay when records are pruned. Times are counted in quarters of an hour since 1970, so that
-- every time zone's day is whole; whole UTC days are summed up once more, so that a month is few rows.
CREATE TABLE rollup (
    width              INTEGER NOT NULL,        -- 1 or 96
    start              INTEGER NOT NULL,
    series             INTEGER NOT NULL,
    requests           INTEGER NOT NULL,
    errors             INTEGER NOT NULL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cache_read_tokens  INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens   INTEGER NOT NULL,
    cost               INTEGER NOT NULL,
    unpriced_requests  INTEGER NOT NULL,
    PRIMARY KEY (width, start, series)
) STRICT, WITHOUT ROWID;

-- The same over all series: of everybody (client 0), and of each of the gateway's clients.
CREATE TABLE total (
    client             INTEGER NOT NULL,        -- a name
    width              INTEGER NOT NULL,
    start              INTEGER NOT NULL,
    requests           INTEGER NOT NULL,
    errors             INTEGER NOT NULL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cache_read_tokens  INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens   INTEGER NOT NULL,
    cost               INTEGER NOT NULL,
    unpriced_requests  INTEGER NOT NULL,
    PRIMARY KEY (client, width, start)
) STRICT, WITHOUT ROWID;

-- Requests under way, with what is recorded of those that nobody ever says the end of; a row goes with its request.
CREATE TABLE reservation (
    id           INTEGER PRIMARY KEY,
    client       INTEGER NOT NULL,              -- that of the series
    at           INTEGER NOT NULL,
    until        INTEGER NOT NULL,              -- from then on it counts no more
    amount       INTEGER NOT NULL,              -- nano-dollars that it may cost at most
    series       INTEGER NOT NULL,
    session      INTEGER NOT NULL,              -- a name
    service      INTEGER NOT NULL,              -- a name
    input_tokens INTEGER NOT NULL,
    cost         INTEGER,                       -- nano-dollars of the input, where its price is known
    price        INTEGER NOT NULL,              -- a name
    provider     INTEGER NOT NULL,              -- that of the series
    request_id   TEXT
) STRICT;

CREATE TABLE alert (
    budget       TEXT    NOT NULL,
    window_start INTEGER NOT NULL,
    threshold    INTEGER NOT NULL,              -- percent
    at           INTEGER NOT NULL,
    PRIMARY KEY (budget, window_start, threshold)
) STRICT, WITHOUT ROWID;

CREATE TABLE health (
    provider    TEXT    NOT NULL,
    label       TEXT    NOT NULL,
    trouble     TEXT,
    since       INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    strikes     INTEGER NOT NULL,
    probe_until INTEGER,
    PRIMARY KEY (provider, label)
) STRICT, WITHOUT ROWID;
