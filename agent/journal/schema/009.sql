-- Limits and routing. What a SIM has sent, by UTC hour, for limits that outlive the attempts; and which messages
-- nobody gave a route, so that another may be chosen as long as nothing of them was tried.

CREATE TABLE sim_usage (
    iccid      TEXT NOT NULL,
    hour       INTEGER NOT NULL,     -- UTC ms / 3 600 000
    n          INTEGER NOT NULL,     -- parts submitted
    PRIMARY KEY (iccid, hour)
) WITHOUT ROWID;
INSERT INTO sim_usage
    SELECT iccid, at_ms / 3600000, count(*) FROM attempt
    WHERE iccid IS NOT NULL AND outcome NOT IN ('not_sent', 'refused') GROUP BY 1, 2;

-- By id and not by time: the newest stays the newest when the clock is set back.
CREATE INDEX attempt_by_sim ON attempt (iccid) WHERE outcome NOT IN ('not_sent', 'refused');

ALTER TABLE message ADD COLUMN is_free INTEGER NOT NULL DEFAULT 0;
