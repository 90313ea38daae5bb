"""The roll-ups in the database: what changes them, and what people see of them."""
