"""A run folder: its files, lock, provenance, checkpoints, logged metrics and outcome.

Import from the modules; `files`, `lock` and `outcome` import no torch.
"""
