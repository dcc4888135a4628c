-- Data that is kept for a time only: what is old is found without looking at the rest.
CREATE INDEX idempotency_by_time ON idempotency (created_ms);
