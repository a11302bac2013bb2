"""battlife.reports."""
