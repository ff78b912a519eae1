"""What `--help` prints: the commands, and each setting with its type, default and meaning. Imports no torch."""
