"""What plays a model: transformers, vLLM, an endpoint, a record."""
