"""Measures of trust as pure functions of arrays: label errors, drift, foreign rows, slices, partial information."""
