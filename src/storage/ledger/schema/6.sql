-- Alerts and what is to be sent of them. Published: changes are new files beside it.

ALTER TABLE alert RENAME TO budget_alert;
-- One row for each thing that is wrong; it is the same as long as kind, subject and window are.
CREATE TABLE alert (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out again
    kind         TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    window_start INTEGER NOT NULL,              -- milliseconds since 1970; 0 where it lasts until it is resolved
    severity     INTEGER NOT NULL,              -- 0 info, 1 warning, 2 critical
    level        INTEGER NOT NULL,              -- grows as it gets worse
    shown        INTEGER NOT NULL,              -- the level that the result of a call has reported
    is_firing    INTEGER NOT NULL,
    first_at     INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,
    noticed_at   INTEGER NOT NULL,              -- of the last notice
    count        INTEGER NOT NULL,
    text         TEXT    NOT NULL,
    command      TEXT    NOT NULL,
    UNIQUE (kind, subject, window_start)
) STRICT;
INSERT INTO alert
    SELECT NULL, 'budget', budget, window_start,
        CASE WHEN max(threshold) >= 100 THEN 2 WHEN max(threshold) >= 80 THEN 1 ELSE 0 END,
        max(threshold), max(threshold), 1, min(at), max(at), max(at), count(*),
        max(threshold) || '% of the ' || budget || ' budget used', 'api-keys budget'
    FROM budget_alert GROUP BY budget, window_start ORDER BY min(at);
DROP TABLE budget_alert;

-- What is to be said of an alert: that it began, got worse, still lasts, ended.
CREATE TABLE notice (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    alert      INTEGER NOT NULL,
    change     TEXT    NOT NULL,
    severity   INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    text       TEXT    NOT NULL,
    command    TEXT    NOT NULL,
    is_planned INTEGER NOT NULL DEFAULT 0       -- 1 once it is decided where it is sent
) STRICT;
CREATE INDEX notice_unplanned ON notice (id) WHERE is_planned = 0;
CREATE INDEX notice_alert ON notice (alert);

-- Where each notice is sent, and with which message; 0 while it waits for one.
CREATE TABLE delivery (
    destination TEXT    NOT NULL,
    notice      INTEGER NOT NULL,
    message     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (destination, notice)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_waiting ON delivery (destination, notice) WHERE message = 0;
CREATE INDEX delivery_message ON delivery (message) WHERE message <> 0;

CREATE TABLE message (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    stable_id   TEXT    NOT NULL,               -- the receiver's to tell a repeated message by
    destination TEXT    NOT NULL,
    made_at     INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    state       TEXT    NOT NULL,               -- pending, sent, failed
    result      TEXT    NOT NULL                -- what came of the last attempt
) STRICT;
CREATE INDEX message_destination ON message (destination, made_at);
CREATE INDEX message_pending ON message (destination) WHERE state = 'pending';

-- Destinations that take no more messages, until one is tried with success.
CREATE TABLE dead_destination (
    name   TEXT    PRIMARY KEY,
    at     INTEGER NOT NULL,
    reason TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE alert_mute (
    kind  TEXT    PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The process that sends, over all; and when what was last looked at.
CREATE TABLE alert_sender (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    holder TEXT    NOT NULL,
    until  INTEGER NOT NULL
) STRICT;
CREATE TABLE alert_check (
    what TEXT    PRIMARY KEY,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
