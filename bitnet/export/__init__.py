"""Export to the formats of other software, transformers and GGUF; comparison of runtimes.

Imports inference, model, data, config and common.
"""
