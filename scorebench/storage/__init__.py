"""What lies on disk: runs, data sets, transcripts."""
