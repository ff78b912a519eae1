"""Files that may come from anybody: written atomically, read without running what is in them."""
