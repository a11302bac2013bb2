"""Numba functions on arrays, one module per method; knows no battlife class.

Import the module of the method, not this package: an eager signature compiles at
import, and a rig script must never load Numba.
"""
