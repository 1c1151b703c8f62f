"""Pure codecs between provider wire formats and the contract; no I/O."""
