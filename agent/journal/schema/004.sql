-- Version 4: upstreams with a pace and facts of their own, and webhooks that they ask for.

-- The pace an upstream asks for, beside its send_delay_s.
ALTER TABLE upstream ADD COLUMN longest_delay_s REAL NOT NULL DEFAULT 0; -- above send_delay_s: drawn between the two
ALTER TABLE upstream ADD COLUMN limit_messages INTEGER;                  -- in each window of limit_window_ms
ALTER TABLE upstream ADD COLUMN limit_window_ms INTEGER;
ALTER TABLE upstream ADD COLUMN work_hours TEXT;                         -- "08:00-18:00" local time

-- Messages of paced upstreams that have begun, as their origin counts them; of the last day.
CREATE TABLE upstream_begun (
    upstream   TEXT NOT NULL,
    remote     TEXT NOT NULL,        -- the bundle, else '#' and the message's id
    utc_ms     INTEGER NOT NULL,
    boot_id    TEXT NOT NULL,
    boot_ms    INTEGER NOT NULL,
    PRIMARY KEY (upstream, remote)
) WITHOUT ROWID;
CREATE INDEX upstream_begun_by_time ON upstream_begun (upstream, utc_ms);

-- What an upstream keeps for itself: credentials it was given, lists it must know while its server is away.
CREATE TABLE upstream_fact (
    owner      TEXT NOT NULL,        -- name and identity: another server under the same name starts with nothing
    fact       TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (owner, fact)
) WITHOUT ROWID;

-- Signs this webhook call; NULL: its account's.
ALTER TABLE hook ADD COLUMN secret TEXT;
