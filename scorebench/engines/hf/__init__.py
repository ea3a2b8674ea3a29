"""The hf engine: a model of transformers, played in this process."""
