"""uvicorn's server without its command line, which its `__init__` imports besides, with click: 1.4 MB.

The daemon keeps click out of its process (agent/cli/run.py), so there `import uvicorn` would fail.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys


def _import_bare_package() -> None:
    spec = importlib.util.find_spec("uvicorn")
    if spec is None or "uvicorn" in sys.modules:
        return
    package = importlib.util.module_from_spec(spec)
    sys.modules["uvicorn"] = package
    # Modules of its own take this from there.
    package.Config = importlib.import_module("uvicorn.config").Config  # type: ignore[attr-defined]


_import_bare_package()

from uvicorn.config import Config  # noqa: E402 - behind what it needs
from uvicorn.server import Server  # noqa: E402

__all__ = ["Config", "Server"]
