"""Does BitNet b1.58 work at small scale? The rooms, each importing from those behind it only:

experiments, report, monitoring, export, figures, claims, training, verdict, inference,
evaluation, model, data, config, common.
"""
