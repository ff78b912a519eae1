"""SVG: video prediction with a latent variable for every frame, drawn from a fixed or a learned prior."""
