"""Inference with a trained model: the engine with its cache, sampling, completions.

Imports model and what is below it.
"""
