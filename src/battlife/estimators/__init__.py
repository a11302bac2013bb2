"""battlife.estimators."""
