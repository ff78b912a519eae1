"""A folder of videos per class, as in UCF-101 and KTH."""
