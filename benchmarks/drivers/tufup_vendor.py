"""A vendor that uses tufup: ``tufup_vendor.py JOB VERSION TREE``, in the vendor's folder."""

from __future__ import annotations

import sys
from pathlib import Path

from tufup.repo import Repository


def main() -> None:
    """Begin a repository or go on with it; add a release; publish it."""
    job, version, tree = sys.argv[1:]
    if job == "begin":
        repository = Repository(app_name="pillow")
        repository.save_config()
        repository.initialize()
    else:
        repository = Repository.from_config()
    repository.add_bundle(new_bundle_dir=Path(tree), new_version=version)
    repository.publish_changes(private_key_dirs=[repository.keys_dir])


if __name__ == "__main__":
    main()
