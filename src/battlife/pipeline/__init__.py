"""One source through the house: find, load, convert, estimate, grade, verify.

Everything the command line does is a function here, so that a script does the same
with the same result.
"""
