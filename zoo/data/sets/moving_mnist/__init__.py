"""Moving MNIST: digits that move and bounce, stochastic or deterministic, with exact ground truth."""
