"""How a source becomes cases, one file a source."""
