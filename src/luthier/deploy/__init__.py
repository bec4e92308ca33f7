"""What was trained, made ready to leave: checkpoints of other libraries, read and written."""
