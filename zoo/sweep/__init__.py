"""``python -m zoo.train -m …``: many trainings from one command, each in a process and a folder of its own.

Hydra composes the jobs and hands them to a launcher; whichever that is, it calls a `Task`, which takes up one job.
Imports no torch.
"""
