"""Quantisers, BitLinear, the transformer, weights on disk.

Imports data, config and common.
"""
