"""What `python -m zoo.sample` does: inputs of samples, their files, and interpolation between codes."""
