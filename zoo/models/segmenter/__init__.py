"""The segmenter: reads the label map off every frame of a clip."""
