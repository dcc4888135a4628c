"""Turns events into lines for a person who watches: `--print-air`. Pure."""

from drivers.simulator.log import Value


def narrate(modem: int | None, event: str, fields: dict[str, Value]) -> str | None:
    """One line, None for events that would only be noise."""
    part = f" (part {fields.get('seq')} of {fields.get('total')})" if fields.get("total") not in (None, 1) else ""
    text = f"{fields.get('text')!r}{part}"
    lines = {
        "air": f"on the air to {fields.get('to')}: {text}, MR {fields.get('mr')}, TPDU {fields.get('tpdu')}",
        "report_sent": f"report for MR {fields.get('mr')}: status {fields.get('status')}",
        "inbound": f"from {fields.get('sender')}: {text}",
        "stored": f"stored in {fields.get('memory')} {fields.get('index')}",
        "delete": f"deleted {fields.get('memory')} {fields.get('index')}",
        "fault": f"fault {fields.get('name')} at {fields.get('point')}",
        "violation": f"violation {fields.get('kind')}",
        "reboot": "reboots",
        "boot": "is up",
        "unplug": "unplugged",
        "plug": f"plugged in at {fields.get('port')}",
    }
    line = lines.get(event)
    return None if line is None else f"modem{modem} {line}"
