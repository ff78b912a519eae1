"""The classifier: a classifier of the attributes of a clip."""
