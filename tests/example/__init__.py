"""The worked examples of docs/contributing.md: a driver and an upstream on directories, held to the real contracts."""
