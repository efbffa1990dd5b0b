"""The verdict on a study's runs: cells, statistics, the rule and its report.

Imports evaluation and what is below it. Free of torch.
"""
