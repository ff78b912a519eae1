"""A folder of videos for each class, as UCF-101 and KTH come."""
