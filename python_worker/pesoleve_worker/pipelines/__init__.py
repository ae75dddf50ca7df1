"""One task a file, named as Hugging Face names the task."""
