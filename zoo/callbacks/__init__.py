"""Lightning callbacks: weight averaging, galleries, metrics, checkpoints. One file each."""
