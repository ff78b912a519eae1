"""Any folder of videos as a data set: finds, probes and resamples the files."""
