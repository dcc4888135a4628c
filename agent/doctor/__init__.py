"""What `phonebridge doctor` looks at beside the modems: the box, the daemon, the servers; and the report for a bug."""
