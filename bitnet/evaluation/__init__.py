"""From observations to metrics, baselines and states.

Imports data, config and common. Free of torch.
"""
