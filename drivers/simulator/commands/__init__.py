"""The AT commands that the modem knows, as tables from name to handler; one file per area.

A handler reads and changes the Device and returns a Reply; it never writes to the line.
"""

from collections.abc import Mapping

from drivers.simulator.commands import control, identity, messages, network, sms_settings
from drivers.simulator.commands.handler import Handler
from drivers.simulator.personality import Personality


def table_for(personality: Personality) -> Mapping[str, Handler]:
    """All commands, with the vendor's own names for the ICCID, without those that the vendor lacks."""
    table = {
        **control.TABLE,
        **identity.TABLE,
        **network.TABLE,
        **sms_settings.TABLE,
        **messages.TABLE,
        **{name: identity.iccid_handler(prefix) for name, prefix in personality.iccid_commands},
        **{name: identity.attempts_handler(lines) for name, lines in personality.pin_counters},
        **{switch.command: identity.slot_handler(switch) for switch in personality.sim_switches},
        **{switch.key.split("=")[0]: identity.key_handler for switch in personality.sim_switches if switch.key},
        **dict.fromkeys(personality.resets, control.reset),
    }
    accepted = personality.accepted | ({personality.silencer[0]} if personality.silencer else set())
    table = {**dict.fromkeys(accepted, control.accepted), **table}
    return {name: handler for name, handler in table.items() if name not in personality.refused}
