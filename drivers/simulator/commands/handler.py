"""The type that every command table is made of."""

from collections.abc import Callable

from drivers.simulator.command_line import Command
from drivers.simulator.device import Device
from drivers.simulator.reply import Reply

Handler = Callable[[Device, Command], Reply]
