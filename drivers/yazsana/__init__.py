"""The route over HTTP: Yazsana (BobSMS), a commercial service with credit, by its Customer API 1.2.0."""
