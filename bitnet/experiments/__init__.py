"""Studies with an `experiment:` instead of a question: arithmetic, stories, pretraining, pilot.

Imports monitoring, evaluation, data, config and common. Free of torch.
"""
