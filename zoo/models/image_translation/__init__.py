"""What the models that paint maps share, vid2vid and pix2pixHD: their settings, and the way to train and sample."""
