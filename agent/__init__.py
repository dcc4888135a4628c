"""The daemon: journal, gateway, routes and upstreams."""

import os

__all__ = ["ENVIRONMENT_PREFIX", "__version__", "has_environment"]

__version__ = "0.1.0"

ENVIRONMENT_PREFIX = "PHONEBRIDGE_"
"""Of every variable of ours."""


def has_environment() -> bool:
    """Whether a part of the configuration stands in the environment, which takes pydantic to read."""
    return any(name.startswith(ENVIRONMENT_PREFIX) for name in os.environ)
