"""DVD-GAN: video from a class and noise by convolutional GRUs; one discriminator of frames, one of time."""
