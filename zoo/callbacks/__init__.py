"""What happens around training: averages, galleries, measures, checkpoints. One file each."""
