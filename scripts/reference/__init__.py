"""Pages that are made from the code: docs/configuration.md and docs/cli-reference.md. `python -m scripts.reference`."""
