"""``python -m zoo.benchmark``: how fast a model trains, samples, loads and is measured, and two settings in turn.

What is measured runs in a process of its own (`process`), started by the command, which imports no torch.
"""
