"""Models behind an endpoint of the OpenAI kind."""
