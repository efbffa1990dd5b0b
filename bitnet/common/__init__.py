"""Files, tensors, processes, Markdown, errors: nothing about language models.

Imports no other room.
"""
