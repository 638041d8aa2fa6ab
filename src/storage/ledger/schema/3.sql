-- Costs as providers state them, and how far each amount is to be trusted. Published: changes are new files beside it.

-- `basis` of a record has two more values: 2 for a lower bound, 3 for the provider's own statement.
ALTER TABLE record ADD COLUMN own_cost INTEGER;     -- nano-dollars that our prices make of it, beside a stated cost

-- In all sums: requests by how their cost is known, and what the cost would be by our own prices.
ALTER TABLE rollup ADD COLUMN estimated_requests   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN lower_bound_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN stated_requests      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN own_cost             INTEGER NOT NULL DEFAULT 0; -- stated costs where we have no price
ALTER TABLE total ADD COLUMN estimated_requests    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE total ADD COLUMN lower_bound_requests  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE total ADD COLUMN stated_requests       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE total ADD COLUMN own_cost              INTEGER NOT NULL DEFAULT 0;
UPDATE rollup SET own_cost = cost;
UPDATE total SET own_cost = cost;
INSERT INTO rollup
    SELECT width, at / 900000 / width * width, series, 0, 0, 0, 0, 0, 0, 0, 0, 0, count(*), 0, 0, 0
    FROM record, (SELECT 1 AS width UNION ALL SELECT 96) WHERE basis = 1 AND cost IS NOT NULL GROUP BY 1, 2, 3
    ON CONFLICT DO UPDATE SET estimated_requests = excluded.estimated_requests;
INSERT INTO total
    SELECT whose, width, at / 900000 / width * width, 0, 0, 0, 0, 0, 0, 0, 0, 0, count(*), 0, 0, 0
    FROM (SELECT 0 AS whose, at FROM record WHERE basis = 1 AND cost IS NOT NULL
            UNION ALL SELECT client, at FROM record JOIN series ON series.id = record.series
            WHERE basis = 1 AND cost IS NOT NULL AND client <> 0),
        (SELECT 1 AS width UNION ALL SELECT 96) WHERE true GROUP BY 1, 2, 3
    ON CONFLICT DO UPDATE SET estimated_requests = excluded.estimated_requests;
