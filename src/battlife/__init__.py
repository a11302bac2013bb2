"""Open diagnostics bench for second-life batteries."""

__version__ = "0.1.0"
