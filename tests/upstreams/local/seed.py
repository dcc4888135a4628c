"""The published descriptions, read. Both lost their indentation, so that what remains are flat lists of lines.

An example is therefore compared as the lines that its nested form would have without indentation.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "seeds"
_PATH = re.compile(r"'?(/[^']*?)'?:")
_METHODS = ("get:", "post:", "put:", "delete:")


@dataclass
class Operation:
    """One documented operation. `examples` are flat, by status; `required` and `fields` are of the body."""

    method: str
    path: str
    parameters: set[tuple[str, str]] = field(default_factory=set)
    examples: dict[int, list[list[str]]] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    is_public: bool = False
    has_body: bool = False


def mobsms() -> list[Operation]:
    """The 30 operations, in the order of the description."""
    operations: list[Operation] = []
    path, section, of_path = "", "", list[Operation]()
    lines = (HERE / "mobsms-openapi.txt").read_text().splitlines()
    for number, line in enumerate(lines):
        if match := _PATH.fullmatch(line):
            path, section, of_path = match[1], "", []
        elif line in _METHODS and path:
            of_path.append(Operation(line[:-1], path))
            operations.append(of_path[-1])
            section = ""
        elif not of_path:
            continue
        elif line in ("responses:", "requestBody:", "parameters:", "parameters: []", "tags:"):
            section = line
            if line == "requestBody:":
                of_path[-1].has_body = True
        elif section == "parameters:" and line.startswith("in: "):
            found = (line[4:], lines[number + 1].removeprefix("name: "))
            # Parameters of the path stand behind its last operation and belong to all.
            for operation in of_path if found[0] == "path" else of_path[-1:]:
                operation.parameters.add(found)
        elif section == "responses:":
            _take_response(of_path[-1], lines, number)
        elif section == "requestBody:":
            _take_body(of_path[-1], lines, number)
        if line == "security: []" and of_path:
            of_path[-1].is_public = True
    return operations


def _take_response(operation: Operation, lines: list[str], number: int) -> None:
    line = lines[number]
    if re.fullmatch(r"\d{3}:", line):
        operation.examples[int(line[:-1])] = []
    elif line == "example:" and lines[number - 1] == "type: object":
        end = lines.index("properties:", number)
        operation.examples[list(operation.examples)[-1]].append([_unquoted(one) for one in lines[number + 1 : end]])


def _take_body(operation: Operation, lines: list[str], number: int) -> None:
    line = lines[number]
    if line == "required:":
        for one in lines[number + 1 :]:
            if not one.startswith("- "):
                break
            operation.required.add(one[2:])
    elif line.startswith("type: ") and re.fullmatch(r"(?!items:|schema:)\w+:", lines[number - 1]):
        operation.fields.add(lines[number - 1][:-1])


def yazsana() -> str:
    """The whole description, its examples without the viewer's marks and without white space."""
    text = (HERE / "yazsana-customer-api.txt").read_text()
    return "".join(re.sub(r"(?m)^- |(?<=[{\[])- |(?<=\], )- ", "", text).split())


def flat(example: Any) -> list[str]:
    """A nested example as such a description has it: YAML without indentation."""
    if isinstance(example, dict):
        lines = []
        for name, value in example.items():
            if isinstance(value, dict | list):
                lines += [f"{name}:", *flat(value)]
            else:
                lines.append(f"{name}: {_scalar(value)}")
        return lines
    if isinstance(example, list):
        return [
            line for one in example for line in (["-", *flat(one)] if isinstance(one, dict) else [f"- {_scalar(one)}"])
        ]
    raise TypeError(type(example))


def _scalar(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _unquoted(line: str) -> str:
    match = re.fullmatch(r"(\w+: |- |)'(.*)'", line)
    return f"{match[1]}{match[2]}" if match else line
