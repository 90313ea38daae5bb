"""The store of events: Parquet files by the hour, compacted by the day, in a folder or a bucket."""
