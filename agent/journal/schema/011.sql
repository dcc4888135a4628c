-- How old an open part is by the clock that no one sets: two parts of one SMS may lie on both sides of a jump.
ALTER TABLE inbound_part ADD COLUMN boot_id TEXT;
ALTER TABLE inbound_part ADD COLUMN boot_ms INTEGER;
