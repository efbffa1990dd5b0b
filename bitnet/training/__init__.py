"""The training: loop, step, optimizers, schedules, loss, devices, observations.

Imports inference, model, data, config and common.
"""
