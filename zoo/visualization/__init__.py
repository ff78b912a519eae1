"""Images and videos of samples, and plots of training curves."""
