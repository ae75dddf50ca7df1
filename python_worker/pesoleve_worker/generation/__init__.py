"""Text generation: what is decided about each next token, and what the KV cache holds meanwhile."""
