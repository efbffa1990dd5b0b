"""A trained model that reads and writes: the engine with its cache, sampling, completions.

Imports model and what is below it.
"""
