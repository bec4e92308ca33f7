"""New metrics on answers that are stored, without a model."""
