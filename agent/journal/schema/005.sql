-- Version 5: messages that start later, ask for no status report, or go to several recipients; webhooks in SMSGate's
-- form; and what the local server keeps for applications that speak SMSGate's client API.

-- UTC ms before which it is not sent; NULL: at once. Kept beside the queue's waits, which count time that passed.
ALTER TABLE message ADD COLUMN starts_ms INTEGER;
ALTER TABLE queue ADD COLUMN starts_ms INTEGER;
CREATE INDEX queue_start ON queue (starts_ms) WHERE starts_ms IS NOT NULL;

ALTER TABLE message ADD COLUMN wants_report INTEGER NOT NULL DEFAULT 1;

-- One message of a server to several recipients is a message each here, held together by the server's id for it.
ALTER TABLE message ADD COLUMN bundle TEXT;
CREATE INDEX message_by_bundle ON message (bundle) WHERE bundle IS NOT NULL;
CREATE INDEX message_by_time ON message (account, direction, created_ms, id);

-- 'own', or 'smsgate': headers, signature and waits are SMSGate's, with so many retries.
ALTER TABLE hook ADD COLUMN form TEXT NOT NULL DEFAULT 'own';
ALTER TABLE hook ADD COLUMN retries INTEGER;

CREATE TABLE client_webhook (
    account    INTEGER NOT NULL,
    id         TEXT NOT NULL,
    url        TEXT NOT NULL,
    event      TEXT NOT NULL,
    device_id  TEXT,                 -- NULL: whichever device
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;
CREATE TABLE client_settings (account INTEGER PRIMARY KEY, settings TEXT NOT NULL);
-- Tokens with scopes: the access token `id` and the refresh token that goes with it.
CREATE TABLE client_token (
    id         TEXT PRIMARY KEY,
    account    INTEGER NOT NULL,
    key_id     INTEGER,              -- the API key it was made with, NULL for the configured one; it dies with it
    scopes     TEXT NOT NULL,        -- JSON list
    ttl_s      INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    refresh_id TEXT NOT NULL UNIQUE,
    refresh_expires_ms INTEGER NOT NULL,
    is_refreshed INTEGER NOT NULL DEFAULT 0,
    is_revoked INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX client_token_old ON client_token (refresh_expires_ms);
