-- Another server under an upstream's name begins anew: its ids are not those of the one before, nor are reports of what
-- that one gave for it. A key belongs to the server of its generation.
ALTER TABLE upstream ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE remote_key ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
