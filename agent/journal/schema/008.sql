-- Version 8: alerts, so that each is told once and cleared once over restarts.

CREATE TABLE alert (
    id         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    subject    TEXT NOT NULL,        -- a route's or an upstream's name, '' for the box
    sentence   TEXT NOT NULL,
    raised_ms  INTEGER NOT NULL,
    cleared_ms INTEGER,
    raise_told_ms INTEGER,           -- NULL: nobody was told yet (quiet hours, too many)
    clear_told_ms INTEGER
);
CREATE UNIQUE INDEX alert_active ON alert (kind, subject) WHERE cleared_ms IS NULL;
CREATE INDEX alert_untold ON alert (id) WHERE raise_told_ms IS NULL OR clear_told_ms IS NULL;
