"""What a vendor tells the world: pages, feeds and advisories, made from the signed documents."""
