"""Background updates: the plan, the update run, the overview, notifications and units."""
