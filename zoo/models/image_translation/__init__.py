"""Base of vid2vid and pix2pixHD, which translate maps to images: settings, training and sampling."""
