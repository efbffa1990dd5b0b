"""What the runs of a study say together: cells, statistics, the rule and its report.

Imports evaluation and what is below it. Free of torch.
"""
