"""The daemon: journal, gateway, routes and upstreams."""

__all__ = ["ENVIRONMENT_PREFIX", "__version__"]

__version__ = "0.1.0"

ENVIRONMENT_PREFIX = "PHONEBRIDGE_"
"""Of every variable of ours."""
