"""A trained model in the formats of other software: transformers, GGUF; how alike they run.

Imports inference, model, data, config and common.
"""
