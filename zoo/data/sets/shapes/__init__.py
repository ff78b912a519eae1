"""Shape motion: a square or a disc that crosses a black frame, as MoCoGAN's data set, with exact ground truth."""
