"""Clips cut out of videos: what the data sets share that read frames and maps from files.

Each of them finds its files in its own folder of ``zoo.data.sets`` and says how one is read; size, cache, flow, split,
where a clip starts and how it is mirrored are here.
"""
