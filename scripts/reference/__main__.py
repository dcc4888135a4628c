"""Writes the pages anew: python -m scripts.reference"""

from __future__ import annotations

from pathlib import Path

from scripts.reference import commands, configuration, examples

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {"configuration.md": configuration.page, "cli-reference.md": commands.page, "contributing.md": examples.page}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    main()
