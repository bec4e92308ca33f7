"""Methods that train virtual tokens, in front of the input or of every layer."""
