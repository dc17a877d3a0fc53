"""One image on the straight line, from voxels to instances. Nothing here writes a result."""
