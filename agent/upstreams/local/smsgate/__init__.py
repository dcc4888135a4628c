"""SMSGate's client API: the server's under /3rdparty/v1, and the phone's local mode at the root (see `paths`)."""
