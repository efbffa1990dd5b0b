"""All that a run's weights and observations depend on, and nothing else.

Imports inference, model, data, config and common.
"""
