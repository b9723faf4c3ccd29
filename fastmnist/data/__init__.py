"""Everything between a path and uint8 pixels."""
