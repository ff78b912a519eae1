"""``python -m zoo.benchmark``: measure the speed of training, sampling, loading and evaluation, or compare two.

Measurements run in worker processes (`worker`), started by the command, which imports no torch.
"""
