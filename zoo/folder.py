"""The files of a run folder, by name: who writes them and who reads them must agree. Imports nothing."""

from __future__ import annotations

CONFIG, COMMAND, ENVIRONMENT = "config.yaml", "command.txt", "environment.json"
CHECKPOINTS = ("last.ckpt", "best.ckpt")
"""In the order in which a run is loaded from them."""
RESULTS = "results.jsonl"
METRICS = "metrics.csv"
CLIPS, INDEX = "clips", "index.json"
"""The folder that holds the newest round of evaluation clips, a folder a clip, and the file in it that says which is
which: clip key -> kind -> film."""
WANDB = "wandb"

CLOCK = "seen/clips"
"""The axis of every curve: training clips consumed over all ranks."""
