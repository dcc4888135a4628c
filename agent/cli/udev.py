"""`phonebridge udev-rules`: rules for the modems of the configuration, so that ModemManager leaves them alone, each has
a stable name, and the service may reset it.

A rule goes by the USB port (by-path) or the device's own name (by-id), as the configuration does. udev knows no IMEI:
for `auto:IMEI` and plain names such as /dev/ttyUSB2 the rule is for all modems of the makers we know.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from agent import config
from agent.cli import output
from agent.cli.exits import Exit, Fault
from agent.cli.options import AsJson
from agent.settings import Config
from drivers.at.ports import AUTO_PREFIX, MODEM_MAKERS, is_network

RULES = Path("/etc/udev/rules.d/78-phonebridge.rules")
"""Behind 60-serial.rules, which sets what these compare, and 77-mm-*.rules, which they overrule."""

_HEAD = """\
# Made by `phonebridge udev-rules` from the configuration; changes are lost when the service starts or reloads.
ACTION=="remove", GOTO="phonebridge_end"
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ENV{ID_PATH}=="", IMPORT{builtin}="path_id"
"""
_END = 'LABEL="phonebridge_end"\n'
_IGNORE = 'ENV{ID_MM_DEVICE_IGNORE}="1"'
_USB = 'SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device"'
# The service resets a stick that hangs by USBDEVFS_RESET, which takes write permission.
_RESET = 'GROUP="phonebridge", MODE="0664"'
# What may stand in a rule between quotes, and compares as itself.
_PLAIN = re.compile(r"[A-Za-z0-9:._+@,=-]+")
_BY_PATH = re.compile(r"/dev/serial/by-path/(?P<path>.+?:\d+\.\d+)(?:-port(?P<port>\d+))?")
_BY_ID = re.compile(r"/dev/serial/by-id/usb-(?P<serial>.+)-if(?P<interface>[0-9a-f]{2})(?:-port(?P<port>\d+))?")


@dataclass(frozen=True, slots=True)
class Port:
    """A route's name and its `port`."""

    route: str
    port: str


def udev_rules(
    write: Annotated[
        bool, typer.Option("--write", help=f"Put them into {RULES}, as root; udev reads them then.")
    ] = False,
    path: Annotated[
        Path, typer.Option("-c", "--config", metavar="FILE", help="The configuration.")
    ] = config.DEFAULT_PATH,
    as_json: AsJson = False,
) -> int:
    """Print udev rules for the configured modems: ModemManager ignores them, /dev/phonebridge/ROUTE names them.

    The service does this by itself whenever it starts or reloads.
    """
    try:
        settings = config.load(path)
    except config.ConfigError as error:
        raise Fault(str(error), Exit.USAGE) from error
    text = rules(configured_ports(settings))
    is_changed = write and _write(text)
    if as_json:
        output.as_json({"rules": text, "file": str(RULES), "changed": is_changed})
    elif not write:
        output.write(text)
    else:
        output.write(f"{RULES} {'is written, and udev has read it' if is_changed else 'is as it should be'}")
    return Exit.OK


def configured_ports(settings: Config) -> list[Port]:
    """Routes whose driver has a port on this machine."""
    ports = [(route.name, getattr(route.driver, "port", None)) for route in settings.routes]
    return [Port(name, port) for name, port in ports if isinstance(port, str) and not is_network(port)]


def rules(ports: Sequence[Port]) -> str:
    """The whole file. Pure."""
    lines: list[str] = []
    for one in ports:
        lines += ["", f"# route {one.route}: {one.port if one.port.isprintable() else 'unprintable'}", *_of(one)]
    return "\n".join([_HEAD.rstrip(), *_unique(lines), "", _END])


def _of(one: Port) -> list[str]:
    if found := _BY_PATH.fullmatch(one.port):
        # Newer systems have a second name that tells the USB version; the property compared here has none.
        interface = re.sub(r"-usbv\d-", "-usb-", found["path"])
        device = re.sub(r":\d+\.\d+$", "", interface)
        if _PLAIN.fullmatch(interface):
            name = [f'ENV{{ID_PATH}}=="{interface}"', *_port_number(found["port"])]
            return _rules(one, f'ENV{{ID_PATH}}=="{device}"', f'ENV{{ID_PATH}}=="{device}:*"', name)
    if (found := _BY_ID.fullmatch(one.port)) and _PLAIN.fullmatch(found["serial"]):
        mine = f'ENV{{ID_SERIAL}}=="{found["serial"]}"'
        name = [mine, f'ENV{{ID_USB_INTERFACE_NUM}}=="{found["interface"]}"', *_port_number(found["port"])]
        return _rules(one, mine, mine, name)
    if one.port.startswith(AUTO_PREFIX) or re.fullmatch(r"/dev/tty(USB|ACM)\d+", one.port):
        makers = "|".join(sorted(MODEM_MAKERS))
        return [
            f'{_USB}, ATTR{{idVendor}}=="{makers}", {_IGNORE}, {_RESET}',
            f'SUBSYSTEM=="tty|net|usbmisc", ENV{{ID_VENDOR_ID}}=="{makers}", {_IGNORE}',
        ]
    return ["# not a USB port: nothing to do"]


def _rules(one: Port, device: str, parts: str, name: list[str]) -> list[str]:
    return [
        f"{_USB}, {device}, {_IGNORE}, {_RESET}",
        f'SUBSYSTEM=="tty|net|usbmisc", {parts}, {_IGNORE}',
        f'SUBSYSTEM=="tty", {", ".join(name)}, SYMLINK+="phonebridge/{one.route}"',
    ]


def _port_number(number: str | None) -> list[str]:
    return [] if number is None else [f'ATTRS{{port_number}}=="{number}"']


def _unique(lines: Iterable[str]) -> list[str]:
    """Several routes may need the same rule."""
    seen: set[str] = set()
    kept = []
    for line in lines:
        if line in seen and "==" in line:
            continue
        seen.add(line)
        kept.append(line)
    return kept


def _write(text: str) -> bool:
    """Whether it was another one before. Raises: Fault."""
    try:
        if RULES.exists() and RULES.read_text(encoding="utf-8") == text:
            return False
        RULES.parent.mkdir(parents=True, exist_ok=True)
        RULES.write_text(text, encoding="utf-8")
        RULES.chmod(0o644)
    except OSError as error:
        raise Fault(f"{RULES} cannot be written ({error.strerror}); run it with sudo") from error
    if shutil.which("udevadm") is not None:
        trigger = ["trigger", "--action=change", "--subsystem-match=usb", "--subsystem-match=tty"]
        for arguments in (["control", "--reload"], trigger):
            # udev may not be running, in a container for example: the rules count when it is.
            subprocess.run(["udevadm", *arguments], check=False, capture_output=True, stdin=subprocess.DEVNULL)
    return True
