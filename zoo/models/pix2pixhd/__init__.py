"""pix2pixHD: high-resolution image synthesis from label maps."""
