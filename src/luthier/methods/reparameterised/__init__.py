"""Methods that train an update of the model's matrices in another, smaller form."""
