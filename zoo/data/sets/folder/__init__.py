"""Any folder of videos as a data set: find the files, probe them, resample them, cut them into clips."""
