"""The segmenter of frames, which measures how well models follow their label maps."""
