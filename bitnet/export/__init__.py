"""Export to transformers and GGUF; comparison of runtimes; EleutherAI's harness.

Imports inference, model, data, config and common.
"""
