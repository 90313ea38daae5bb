"""The signed repository: roles, keys, targets, publication and serving.

A repository is one folder on the vendor's machine, of which only ``public/`` is served::

    repository.toml    where the private keys are and how long signatures last
    keys/              Ed25519 key files
    staging/           what a publication is writing; empty otherwise
    lock               held while a publication is at work
    public/metadata/   the signed metadata
    public/targets/    baselines, improvements, patches and catalogs
"""
