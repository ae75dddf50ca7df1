"""What a stage cost in quality."""
