"""Long searches for input that breaks something; each is a script, with a short form among the tests."""
