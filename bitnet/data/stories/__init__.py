"""The built-in corpus of stories: its grammar, a parser, and the best possible loss.

Imports what data may.
"""
