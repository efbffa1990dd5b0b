"""Monitoring of a training, without effect on its numbers: progress, anomalies, MFU, TensorBoard.

Imports training and what is below it.
"""
