"""VideoVAE: a variational auto-encoder of frames whose code an LSTM and holistic attributes shape in time."""
