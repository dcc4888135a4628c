-- Version 6: upstreams take turns on a route, so each one's next message is found without walking past the others'.
DROP INDEX queue_order;
CREATE INDEX queue_turn ON queue (route, upstream, follows DESC, priority DESC, message_id);
