"""An emulated GSM modem on a real pty, with its SIM, its network and its faults: a program of its own.

Run it with `python -m drivers.simulator --help`. It shares no code with `drivers.at` or `drivers.sms`, so
that a mistake made there cannot cancel itself out here, and uses only the standard library.
"""
