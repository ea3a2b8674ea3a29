"""Plays dialogues between a method and a model."""
