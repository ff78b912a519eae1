"""Pictures of samples and of training: grids, films and curves."""
