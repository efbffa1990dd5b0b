"""config.yaml as dataclasses: recipe, study, question, thresholds, run names, budget.

Imports common. Free of torch and pandas.
"""
