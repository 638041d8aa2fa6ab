-- Which program made a request, and what its caller marked it with. Published: changes are new files beside it.

CREATE TABLE series_with_agent (
    id       INTEGER PRIMARY KEY,
    provider INTEGER NOT NULL,
    model    INTEGER NOT NULL,
    label    INTEGER NOT NULL,
    task     INTEGER NOT NULL,
    project  INTEGER NOT NULL,
    client   INTEGER NOT NULL,
    source   INTEGER NOT NULL,
    agent    INTEGER NOT NULL DEFAULT 0,
    tags     INTEGER NOT NULL DEFAULT 0,        -- a name: `a=b,c=d`, sorted
    UNIQUE (provider, model, label, task, project, client, source, agent, tags)
) STRICT;
INSERT INTO series_with_agent (id, provider, model, label, task, project, client, source)
    SELECT id, provider, model, label, task, project, client, source FROM series;
DROP TABLE series;
ALTER TABLE series_with_agent RENAME TO series;
