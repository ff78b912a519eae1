"""VGAN: clips of a still background and a moving foreground, blended by a mask."""
