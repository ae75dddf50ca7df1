"""Ways to turn a weight matrix into a ``BlockTensor``: matrix in, blocks out; one file each."""
