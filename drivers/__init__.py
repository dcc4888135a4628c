"""Everything that can carry an SMS. Nothing here may import `agent`."""
