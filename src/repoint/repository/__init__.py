"""The signed repository: roles, keys, targets, publication and serving.

A repository is one folder on the vendor's machine, of which only ``public/`` is served::

    repository.toml    locations of the private keys, lifetime of signatures
    keys/              Ed25519 key files
    staging/           files of the current publication; empty otherwise
    lock               held during a publication
    public/metadata/   the signed metadata
    public/targets/    baselines, improvements, patches and catalogs
"""
