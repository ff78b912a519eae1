"""Safe file access: files are written atomically, and files from untrusted sources are read without running code."""
