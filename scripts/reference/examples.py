"""docs/contributing.md: the code in it is that of files which tests run, behind a comment with the file's path."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_PLACE = re.compile(
    r"^<!-- (?P<path>\S+?)(?: (?P<name>[A-Z_]+))? -->\n\n(?:```\w*\n.*?^```\n\n)?", re.MULTILINE | re.DOTALL
)


def page() -> str:
    """The page with its code as it stands in the files; the words are the page's own."""
    return _PLACE.sub(_filled, (_ROOT / "docs" / "contributing.md").read_text())


def _filled(place: re.Match[str]) -> str:
    source = (_ROOT / place["path"]).read_text()
    language, shown = ("python", source) if place["name"] is None else ("toml", _constant(source, place["name"]))
    return f"{place[0].partition(chr(10))[0]}\n\n```{language}\n{shown}```\n\n"


def _constant(source: str, name: str) -> str:
    """A text that a module gives a name to."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            return str(ast.literal_eval(node.value))
    raise LookupError(name)
