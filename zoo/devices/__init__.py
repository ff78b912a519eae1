"""Processes and hardware: launchers, collectives, strategies, sharded checkpoints, CUDA graphs, what a machine can do.

Import from the modules; `launch` and `hardware` import no torch.
"""
