"""Five ways to make a model smaller: a model in, a model out, one file each."""
