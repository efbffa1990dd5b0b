"""What watches a training and changes no number: progress, anomalies, MFU, TensorBoard.

Imports training and what is below it.
"""
