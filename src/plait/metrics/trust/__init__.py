"""Measures of whether a model can be trusted, as pure functions of arrays: label errors, drift, foreign rows and more."""
