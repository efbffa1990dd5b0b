"""The original reports: their claims, the criteria that test them, the results template.

Imports verdict and what is below it. Free of torch.
"""
