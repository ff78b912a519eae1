"""The judge: a classifier of the attributes of a clip."""
