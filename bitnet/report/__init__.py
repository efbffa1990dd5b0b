"""The HTML report of a study.

Imports figures, claims, verdict and what is below them. Free of torch.
"""
