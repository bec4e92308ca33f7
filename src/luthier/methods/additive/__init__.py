"""Methods that put trained modules between the frozen layers."""
