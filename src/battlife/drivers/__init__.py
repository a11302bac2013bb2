"""Ways to move bytes: serial lines and CAN buses, gated, polled, probed."""
