"""battlife.archive."""
