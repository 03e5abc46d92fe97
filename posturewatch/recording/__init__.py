"""What came in, kept: the packet log, who writes it, and the lines and the picture of a replay."""
