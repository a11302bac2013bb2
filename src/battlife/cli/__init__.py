"""battlife.cli."""
