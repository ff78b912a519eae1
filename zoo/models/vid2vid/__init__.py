"""vid2vid: video-to-video synthesis."""
