"""What accounts may still spend. The configuration gives, the journal counts what was spent and refunded.

Amounts are integer millionths, shown as decimal texts.
"""

from __future__ import annotations

from decimal import Decimal

from agent.upstreams.local.context import Local

MICRO = 1_000_000

USER = "user"
"""The account's own credit."""
ORGANIZATION = "organization"
"""The owner's credit as a member of the gateway's one organisation."""


def granted(local: Local, purse: str) -> int:
    """What a purse was given in all."""
    settings = local.settings
    return micro(settings.organization_credit if purse == ORGANIZATION else settings.credit)


async def left(local: Local, account: int, purse: str) -> int:
    """What a purse still holds; below nothing where the configuration was lowered."""
    return granted(local, purse) - await local.accounts.spent(account, purse)


def micro(amount: float) -> int:
    """A price as it was written, not as a float has it."""
    return int(Decimal(str(amount)) * MICRO)


def decimal(amount: int) -> str:
    """With all six places, e.g. "1.000000"."""
    return f"{Decimal(amount) / MICRO:.6f}"


def short(amount: int) -> str:
    """Without zeros that say nothing, e.g. "3"."""
    return f"{(Decimal(amount) / MICRO).normalize():f}"
