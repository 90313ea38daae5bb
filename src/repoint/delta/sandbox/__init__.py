"""The process that decodes patches, and its confinement."""
