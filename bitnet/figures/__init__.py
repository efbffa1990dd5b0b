"""Figures from the tables of runs, by matplotlib.

Imports verdict, evaluation, config and common. Free of torch.
"""
