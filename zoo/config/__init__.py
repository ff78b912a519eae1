"""Settings: composing them with Hydra, their meanings, and `--help`. Imports no torch."""
