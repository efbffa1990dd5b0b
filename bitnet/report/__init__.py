"""A study as one HTML page.

Imports figures, claims, verdict and what is below them. Free of torch.
"""
