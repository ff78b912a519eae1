"""Sweeps, ``python -m zoo.train -m …``: many trainings from one command, each in its own process and folder.

Hydra composes the jobs and passes them to a launcher. Every launcher calls a `Task`, which runs one job. Imports no
torch.
"""
