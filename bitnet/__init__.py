"""Does BitNet b1.58 work at small scale? Its rooms; each imports only from rooms listed after it:

experiments, report, monitoring, export, figures, claims, training, verdict, inference,
evaluation, model, data, config, common.
"""

__version__ = "0.1.0"
