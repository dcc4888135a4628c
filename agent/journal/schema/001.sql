-- The journal, version 1. Times are UTC milliseconds unless a name says otherwise; states are the words of
-- agent/model.py. One message table holds both directions, so that ids, pages and counters are one thing.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE message (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    uid          TEXT NOT NULL UNIQUE,
    direction    TEXT NOT NULL CHECK (direction IN ('outbound', 'inbound')),
    upstream     TEXT,               -- origin of an outbound message
    remote_id    TEXT,
    account      INTEGER,
    device       INTEGER,            -- a remote device of the local server, or the device row of a route
    number       TEXT NOT NULL,      -- recipient or sender
    text         TEXT NOT NULL,
    state        TEXT NOT NULL,
    priority     INTEGER NOT NULL DEFAULT 0,
    parts        INTEGER NOT NULL DEFAULT 1,
    wanted_route TEXT,               -- route by which it shall go; NULL: any
    home_route   TEXT,               -- route it was meant for before it went to a fallback; '' is any
    route        TEXT,               -- bound at the first SENDING, or the route it came in by
    iccid        TEXT,
    reference    INTEGER,            -- concatenation reference, chosen at binding
    error        TEXT,
    may_be_double INTEGER NOT NULL DEFAULT 0,
    cancel_asked INTEGER NOT NULL DEFAULT 0,
    valid_for_ms INTEGER,
    expires_ms   INTEGER,
    remote_created_ms INTEGER,
    created_ms   INTEGER NOT NULL,
    sent_ms      INTEGER,
    delivered_ms INTEGER,
    scts         TEXT,               -- inbound: the service centre's time stamp with its own offset
    attributes   TEXT NOT NULL DEFAULT '{}',
    kind         TEXT NOT NULL DEFAULT 'text', -- text | data | wap_push | mms
    details      TEXT NOT NULL DEFAULT '{}' -- JSON: class, ports, data and the like, see agent/model.py
);
CREATE INDEX message_by_account ON message (account, id);
CREATE INDEX message_by_account_state ON message (account, direction, state, id);
CREATE INDEX message_by_direction ON message (direction, id);
CREATE INDEX message_by_state ON message (direction, state, id);
CREATE INDEX message_by_device ON message (device, account, direction, state, id) WHERE device IS NOT NULL;
CREATE INDEX message_by_sender ON message (number, direction, id);

-- Totals without counting rows: kept in the same transaction by the triggers below.
CREATE TABLE counter (
    account   INTEGER NOT NULL,
    device    INTEGER NOT NULL,
    direction TEXT NOT NULL,
    state     TEXT NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY (account, direction, state, device)
) WITHOUT ROWID;
CREATE TRIGGER count_insert AFTER INSERT ON message BEGIN
    INSERT INTO counter VALUES (ifnull(new.account, 0), ifnull(new.device, 0), new.direction, new.state, 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER count_update AFTER UPDATE OF account, device, state ON message
WHEN old.state IS NOT new.state OR old.account IS NOT new.account OR old.device IS NOT new.device BEGIN
    UPDATE counter SET n = n - 1
    WHERE account = ifnull(old.account, 0) AND device = ifnull(old.device, 0)
      AND direction = old.direction AND state = old.state;
    INSERT INTO counter VALUES (ifnull(new.account, 0), ifnull(new.device, 0), new.direction, new.state, 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER count_delete AFTER DELETE ON message BEGIN
    UPDATE counter SET n = n - 1
    WHERE account = ifnull(old.account, 0) AND device = ifnull(old.device, 0)
      AND direction = old.direction AND state = old.state;
END;

-- Per-day figures for statistics; a day is a UTC day number.
CREATE TABLE daily (
    day     INTEGER NOT NULL,
    account INTEGER NOT NULL,
    kind    TEXT NOT NULL,           -- accepted | sent | delivered | failed | received
    n       INTEGER NOT NULL,
    amount  REAL NOT NULL DEFAULT 0, -- sum of prices
    PRIMARY KEY (day, account, kind)
) WITHOUT ROWID;

CREATE TABLE part (
    message_id INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    sequence   INTEGER NOT NULL,
    state      TEXT NOT NULL,
    alphabet   TEXT NOT NULL,
    body       BLOB NOT NULL,
    header     BLOB NOT NULL DEFAULT x'', -- information elements beside the concatenation
    message_class INTEGER,
    tries      INTEGER NOT NULL DEFAULT 0,
    resends    INTEGER NOT NULL DEFAULT 0,
    error      TEXT,
    PRIMARY KEY (message_id, sequence)
) WITHOUT ROWID;

CREATE TABLE attempt (
    id         INTEGER PRIMARY KEY,
    message_id INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    sequence   INTEGER NOT NULL,
    route      TEXT NOT NULL,
    iccid      TEXT,
    recipient  TEXT NOT NULL,
    recipient_tail TEXT NOT NULL,
    at_ms      INTEGER NOT NULL,
    boot_id    TEXT NOT NULL,
    boot_ms    INTEGER NOT NULL,
    tp_mr      INTEGER,
    report_asked INTEGER NOT NULL DEFAULT 0,
    outcome    TEXT NOT NULL,
    code       TEXT
);
CREATE INDEX attempt_by_part ON attempt (message_id, sequence);
CREATE INDEX attempt_open ON attempt (route) WHERE outcome IN ('open', 'unknown');
CREATE INDEX attempt_unknown_recipient ON attempt (recipient) WHERE outcome IN ('open', 'unknown');
CREATE INDEX attempt_by_reference ON attempt (iccid, tp_mr, recipient_tail, id)
    WHERE report_asked = 1 AND outcome NOT IN ('not_sent', 'refused');
CREATE INDEX attempt_pending ON attempt (iccid, at_ms) WHERE report_asked = 1 AND outcome = 'sent';
CREATE INDEX attempt_by_route_time ON attempt (route, at_ms);

-- What is still to be submitted: one row per message with a queued part. Small whatever the history.
CREATE TABLE queue (
    message_id INTEGER PRIMARY KEY REFERENCES message (id) ON DELETE CASCADE,
    route      TEXT NOT NULL,        -- '' = any route
    iccid      TEXT,                 -- the SIM it is bound to
    follows    INTEGER NOT NULL DEFAULT 0, -- the previous part has just left: goes next, without delay
    upstream   TEXT NOT NULL,
    recipient  TEXT NOT NULL,
    priority   INTEGER NOT NULL,
    accepted_boot_ms INTEGER NOT NULL,
    due_boot_ms INTEGER NOT NULL,    -- 0 = now; CLOCK_BOOTTIME of the boot in meta.boot_id
    since_utc_ms INTEGER NOT NULL DEFAULT 0, -- when the wait began, for the next boot
    wait_ms    INTEGER NOT NULL DEFAULT 0,
    expires_ms INTEGER               -- UTC; only while the message has no attempt
) WITHOUT ROWID;
CREATE INDEX queue_order ON queue (route, follows DESC, priority DESC, message_id);
CREATE INDEX queue_recipient ON queue (recipient);
CREATE INDEX queue_expiry ON queue (expires_ms) WHERE expires_ms IS NOT NULL;

CREATE TABLE event (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms      INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    message_id INTEGER REFERENCES message (id) ON DELETE CASCADE,
    part       INTEGER,
    route      TEXT,
    upstream   TEXT,                 -- whose feed it belongs to; NULL with kind 'received': everybody's
    state      TEXT,                 -- the message's state where this event changed it
    detail     TEXT
);
CREATE INDEX event_by_message ON event (message_id, id);

-- Known for as long as a server may list it; outlives the message.
CREATE TABLE remote_key (
    upstream   TEXT NOT NULL,
    remote_id  TEXT NOT NULL,
    message_id INTEGER,
    state      TEXT NOT NULL,
    error      TEXT,
    seen_ms    INTEGER NOT NULL,
    PRIMARY KEY (upstream, remote_id)
) WITHOUT ROWID;

CREATE TABLE idempotency (
    account    INTEGER NOT NULL,
    key        TEXT NOT NULL,
    request    TEXT NOT NULL,        -- hash of the request
    message_ids TEXT NOT NULL,       -- JSON list
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID;

CREATE TABLE upstream (
    name       TEXT PRIMARY KEY,
    identity   TEXT NOT NULL,
    cursor     INTEGER NOT NULL,     -- events up to here are delivered, or stand in undelivered
    send_delay_s REAL NOT NULL DEFAULT 0,
    default_sim_slot INTEGER,
    is_active  INTEGER NOT NULL DEFAULT 1,
    keep_inbound INTEGER NOT NULL DEFAULT 1,
    wants_inbound INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE undelivered (
    upstream   TEXT NOT NULL,
    event_id   INTEGER NOT NULL,
    lane       INTEGER NOT NULL,     -- message id
    tries      INTEGER NOT NULL,
    parked     INTEGER NOT NULL,
    error      TEXT,
    since_ms   INTEGER NOT NULL,
    PRIMARY KEY (upstream, event_id)
) WITHOUT ROWID;

-- Pacing across restarts: when a route or an upstream's device last finished a message.
CREATE TABLE pace (
    key     TEXT PRIMARY KEY,        -- 'route:NAME' or 'upstream:NAME'
    utc_ms  INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    boot_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE route (name TEXT PRIMARY KEY, paused INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;

CREATE TABLE sim_fact (
    key TEXT NOT NULL, fact TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key, fact)
) WITHOUT ROWID;

CREATE TABLE inbound_part (
    id         INTEGER PRIMARY KEY,
    digest     BLOB NOT NULL,        -- of ICCID and TPDU: the same SMS is taken in once
    route      TEXT NOT NULL,
    iccid      TEXT NOT NULL,
    sender     TEXT NOT NULL,
    alphabet   TEXT NOT NULL,
    body       BLOB NOT NULL,
    text       TEXT NOT NULL,
    scts       TEXT,
    reference  INTEGER,
    wide       INTEGER NOT NULL DEFAULT 0,
    total      INTEGER NOT NULL DEFAULT 1,
    sequence   INTEGER NOT NULL DEFAULT 1,
    received_ms INTEGER NOT NULL,
    message_id INTEGER,              -- the message it became part of; 0: it is an event and no message
    kind       TEXT NOT NULL DEFAULT 'text',
    details    TEXT NOT NULL DEFAULT '{}',
    UNIQUE (digest)
);
CREATE INDEX inbound_part_open ON inbound_part (iccid, sender, reference) WHERE message_id IS NULL;

CREATE TABLE status_report (
    id         INTEGER PRIMARY KEY,
    digest     BLOB NOT NULL UNIQUE,
    iccid      TEXT NOT NULL,
    tp_mr      INTEGER NOT NULL,
    recipient  TEXT NOT NULL,
    status     INTEGER NOT NULL,
    outcome    TEXT NOT NULL,
    sentence   TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    attempt_id INTEGER
);
CREATE INDEX status_report_open ON status_report (iccid, tp_mr) WHERE attempt_id IS NULL;

-- The local server's side: accounts, keys, devices, hooks.
CREATE TABLE account (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    email      TEXT UNIQUE,
    password   TEXT,                 -- scrypt, with its salt and parameters
    is_owner   INTEGER NOT NULL DEFAULT 0,
    default_device INTEGER,
    keep_inbound INTEGER NOT NULL DEFAULT 1,
    webhook_incoming TEXT,
    webhook_status TEXT,
    webhook_secret TEXT,             -- signs the calls of its webhooks; made at the first one
    premium_until_ms INTEGER,        -- by promo code; NULL: never redeemed
    created_ms INTEGER NOT NULL
);

CREATE TABLE contact (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    number     TEXT NOT NULL,
    name       TEXT,
    email      TEXT,
    notes      TEXT,
    created_ms INTEGER NOT NULL,
    UNIQUE (account, number)
);
CREATE TABLE contact_group (
    group_id   INTEGER NOT NULL,     -- the application's number; groups have nothing but members here
    contact_id INTEGER NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, contact_id)
) WITHOUT ROWID;

-- Credit: what the configuration gives, less what a purse has spent. Amounts are millionths.
CREATE TABLE purse (
    account    INTEGER NOT NULL,
    name       TEXT NOT NULL,        -- user | organization
    spent      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, name)
) WITHOUT ROWID;

-- What was sent with credit: a sending has one item per recipient. Items outlive their messages, as bills do.
CREATE TABLE sending (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    uid        TEXT NOT NULL UNIQUE,
    account    INTEGER NOT NULL,
    purse      TEXT NOT NULL,
    text       TEXT NOT NULL,
    open       INTEGER NOT NULL,     -- items of which the end is not known yet
    created_ms INTEGER NOT NULL
);
CREATE INDEX sending_by_account ON sending (account, purse, id);
CREATE TABLE sending_item (
    message_id INTEGER PRIMARY KEY,
    uid        TEXT NOT NULL,
    sending    INTEGER NOT NULL REFERENCES sending (id) ON DELETE CASCADE,
    number     TEXT NOT NULL,
    state      TEXT NOT NULL,        -- the message's
    is_valid   INTEGER NOT NULL,     -- 0: refused when it was accepted, and not charged
    cost       INTEGER NOT NULL,
    refunded   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX sending_item_by_sending ON sending_item (sending, state, message_id);
-- An item follows its message in the same transaction; what failed is refunded once, and stays so.
CREATE TRIGGER sending_follow AFTER UPDATE OF state ON message
WHEN old.state IS NOT new.state AND EXISTS (SELECT 1 FROM sending_item WHERE message_id = new.id) BEGIN
    UPDATE sending SET open = open
        + (new.state IN ('held', 'queued', 'sending', 'unknown')) - (old.state IN ('held', 'queued', 'sending', 'unknown'))
    WHERE id = (SELECT sending FROM sending_item WHERE message_id = new.id);
    UPDATE purse SET spent = spent - (SELECT cost FROM sending_item WHERE message_id = new.id)
    WHERE new.state IN ('failed', 'expired', 'cancelled')
      AND (SELECT cost > 0 AND NOT refunded FROM sending_item WHERE message_id = new.id)
      AND (account, name) = (SELECT s.account, s.purse FROM sending s JOIN sending_item i ON i.sending = s.id
                             WHERE i.message_id = new.id);
    UPDATE sending_item
    SET state = new.state, refunded = refunded OR (cost > 0 AND new.state IN ('failed', 'expired', 'cancelled'))
    WHERE message_id = new.id;
END;
-- Deleted while it was in the air, it is sent all the same (what only waits is cancelled before).
CREATE TRIGGER sending_forget AFTER DELETE ON message
WHEN old.state IN ('held', 'queued', 'sending', 'unknown')
     AND EXISTS (SELECT 1 FROM sending_item WHERE message_id = old.id) BEGIN
    UPDATE sending SET open = open - 1 WHERE id = (SELECT sending FROM sending_item WHERE message_id = old.id);
    UPDATE sending_item SET state = 'sent' WHERE message_id = old.id;
END;

CREATE TABLE token (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    digest     BLOB NOT NULL,        -- SHA-256 of the secret, which has 240 random bits
    abilities  TEXT NOT NULL,        -- JSON list
    last_used_ms INTEGER,
    created_ms INTEGER NOT NULL
);
CREATE INDEX token_by_account ON token (account);

CREATE TABLE device (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    INTEGER NOT NULL,
    device_id  TEXT NOT NULL,        -- the string the device chose; for our own routes "route:NAME"
    name       TEXT NOT NULL,
    phone_number TEXT,
    route      TEXT UNIQUE,          -- own route, NULL for a remote agent
    is_active  INTEGER NOT NULL DEFAULT 1,
    sms_rate   REAL NOT NULL DEFAULT 0,
    send_delay_s REAL NOT NULL DEFAULT 0,
    default_sim_slot INTEGER,
    last_seen_ms INTEGER,
    pool       TEXT,                 -- remote agents of one account with the same one stand in for each other
    UNIQUE (account, device_id)
);

CREATE TABLE hook (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    event_key  TEXT NOT NULL,        -- makes enqueuing idempotent
    lane       INTEGER NOT NULL,     -- message id: in order within it
    account    INTEGER NOT NULL,
    url        TEXT NOT NULL,
    host       TEXT NOT NULL,        -- scheme, host and port: what is slow or down together
    body       TEXT NOT NULL,
    state      TEXT NOT NULL,        -- waiting | done | given_up
    tries      INTEGER NOT NULL DEFAULT 0,
    due_ms     INTEGER NOT NULL,     -- very far away while an earlier call of the lane waits
    last_status INTEGER,
    last_error TEXT,
    last_answer TEXT,                -- the beginning of what was said where it was not taken
    took_ms    INTEGER,
    tried_ms   INTEGER,
    created_ms INTEGER NOT NULL,
    done_ms    INTEGER,
    UNIQUE (event_key, url)
);
CREATE INDEX hook_by_account ON hook (account, id);
CREATE INDEX hook_waiting ON hook (host, due_ms) WHERE state = 'waiting';
CREATE INDEX hook_lane ON hook (lane, url, id) WHERE state = 'waiting';
CREATE INDEX hook_ended ON hook (state, done_ms) WHERE state != 'waiting';
