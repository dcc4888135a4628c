"""What all HTTP upstreams share."""

from __future__ import annotations

from agent.upstreams.wire import tls_context


def test_certificates_are_held_once_however_many_upstreams_there_are() -> None:
    assert tls_context(None) is tls_context(None)
