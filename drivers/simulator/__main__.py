"""Entry point of `python -m drivers.simulator`."""

import sys

from drivers.simulator.cli import main

sys.exit(main())
