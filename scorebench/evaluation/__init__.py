"""From settings to graded episodes on disk, and everything that grades without a model."""
