"""From text to tokens: sources, tokenizers, shards, the data loader, the probe.

Imports config and common. Free of torch and pandas.
"""
