"""Alerts that leave the box: what is wrong for too long is told to the owner once, and once more when it is over."""
