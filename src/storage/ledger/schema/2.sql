-- Leases and journals in the place of reservations. Published: changes are new files beside it.

-- Requests that were under way when the program was replaced: recorded as failed, by their prompts, with their sums.
CREATE TEMP TABLE lost AS
    SELECT row_number() OVER (ORDER BY id) AS number, * FROM reservation
    WHERE request_id IS NULL OR NOT EXISTS (
        SELECT 1 FROM record WHERE record.provider = reservation.provider AND record.request_id = reservation.request_id);
INSERT INTO record
    SELECT (SELECT records FROM meta) + number, at, series, session, service, input_tokens, 0, 0, 0, 0, 0, cost, 1, price,
        0, NULL, NULL, provider, request_id
    FROM lost;
UPDATE meta SET records = records + (SELECT count(*) FROM lost);
INSERT INTO rollup
    SELECT width, at / 900000 / width * width, series, count(*), count(*), sum(input_tokens), 0, 0, 0, 0,
        coalesce(sum(cost), 0), sum(cost IS NULL)
    FROM lost, (SELECT 1 AS width UNION ALL SELECT 96) WHERE true GROUP BY 1, 2, 3
    ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, errors = errors + excluded.errors,
        input_tokens = input_tokens + excluded.input_tokens, cost = cost + excluded.cost,
        unpriced_requests = unpriced_requests + excluded.unpriced_requests;
INSERT INTO total
    SELECT whose, width, at / 900000 / width * width, count(*), count(*), sum(input_tokens), 0, 0, 0, 0,
        coalesce(sum(cost), 0), sum(cost IS NULL)
    FROM (SELECT 0 AS whose, * FROM lost UNION ALL SELECT client, * FROM lost WHERE client <> 0),
        (SELECT 1 AS width UNION ALL SELECT 96) WHERE true GROUP BY 1, 2, 3
    ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, errors = errors + excluded.errors,
        input_tokens = input_tokens + excluded.input_tokens, cost = cost + excluded.cost,
        unpriced_requests = unpriced_requests + excluded.unpriced_requests;
DROP TABLE lost;
DROP TABLE reservation;
ALTER TABLE meta DROP COLUMN reservations;

-- Money that a process has set aside, from which it reserves for requests by itself.
CREATE TABLE lease (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,   -- never given out again
    holder TEXT    NOT NULL,                    -- the journal of the process
    client INTEGER NOT NULL,                    -- a name; 0 for none
    at     INTEGER NOT NULL,                    -- milliseconds since 1970: the periods that it counts in
    until  INTEGER NOT NULL,                    -- from then on it counts no more
    amount INTEGER NOT NULL                     -- nano-dollars
) STRICT;

-- Up to where the journal of each process is recorded.
CREATE TABLE journal (
    holder   TEXT    PRIMARY KEY,
    segment  INTEGER NOT NULL,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
