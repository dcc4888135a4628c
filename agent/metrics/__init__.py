"""Health and figures: what is counted, what it means, and who may ask. Loads prometheus-client only at a scrape."""
