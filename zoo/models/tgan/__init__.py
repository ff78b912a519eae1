"""TGAN: a temporal generator of a code for every frame, and a generator of images; singular value clipping."""
