"""Methods that learn from labelled units: a lot is measured, the rest is screened.

``training`` turns a FeatureTable with its truth into a Model, ``applying`` a Model and
a table into values with intervals, or refusals. Only numbers go from one to the other.
"""
