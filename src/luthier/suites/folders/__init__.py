"""Task data out of folders, in the columns of the hub's data sets: what lm-eval's definitions read."""
