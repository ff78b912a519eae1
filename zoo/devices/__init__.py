"""Processes and hardware: launchers, collectives, strategies, sharded checkpoints, CUDA graphs, hardware checks.

Import from the modules; `launch` and `hardware` import no torch.
"""
