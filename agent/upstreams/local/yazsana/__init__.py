"""The Yazsana dialect under /yazsana. Its documentation lost the paths; ours are sensible guesses."""
