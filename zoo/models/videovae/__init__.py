"""VideoVAE: a variational autoencoder of frames whose codes depend on an LSTM and on holistic attributes."""
