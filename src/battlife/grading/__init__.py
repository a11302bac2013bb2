"""battlife.grading."""
