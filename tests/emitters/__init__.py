"""Real emitters against a real server: their programs run in environments of their own, a fake vendor answers them."""
