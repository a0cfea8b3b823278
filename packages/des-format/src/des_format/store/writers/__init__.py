"""Writers that stay open: of one archive, and of groups of entries."""
