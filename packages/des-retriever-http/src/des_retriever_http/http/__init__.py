"""HTTP itself: problems, paths, conditions, ranges, dates. Nothing here knows a store."""
