"""Pages that are made from the code: docs/configuration.md, docs/cli-reference.md, and the code in
docs/contributing.md. `python -m scripts.reference`."""
