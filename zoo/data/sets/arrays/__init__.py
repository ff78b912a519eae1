"""Arrays of frames in files: NumPy's .npy and .npz, HDF5 and Zarr, read in place."""
