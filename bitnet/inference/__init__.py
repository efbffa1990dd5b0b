"""Inference with a trained model: the engine with its cache, sampling, completions, text losses.

Imports model and what is below it.
"""
