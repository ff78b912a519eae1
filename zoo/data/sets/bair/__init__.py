"""BAIR robot pushing: a robot arm among objects, with its actions, from TFRecord files or folders of PNG files."""
