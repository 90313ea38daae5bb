"""The simulation of a fleet: what the guard and the default ramps do for ten million devices."""
