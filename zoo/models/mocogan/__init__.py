"""MoCoGAN: clips from nothing, with one code for the content of a clip and one for the motion of every frame."""
