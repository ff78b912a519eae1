"""Clips of videos: the code shared by the data sets that read frames and maps from files.

Every such data set finds its files in its own folder of ``zoo.data.sets`` and defines how a file is read. Size, cache,
flow, split, start and mirroring of the clips are here.
"""
