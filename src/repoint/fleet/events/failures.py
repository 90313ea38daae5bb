"""What a store that speaks S3 answers when it refuses, as what is wrong and what to do."""

from __future__ import annotations

from typing import Final

_WAITING: Final = "Events wait in the database until it works again"

_KNOWN: Final = (
    ("NoSuchBucket", "the bucket does not exist",
     "Create it, or correct --events and AWS_ENDPOINT_URL"),
    ("InvalidAccessKeyId", "the store does not know this key", "Correct AWS_ACCESS_KEY_ID"),
    ("SignatureDoesNotMatch", "the secret of the key is wrong", "Correct AWS_SECRET_ACCESS_KEY"),
    ("AccessDenied", "the key has no right to do this",
     "Grant it permission to list, read, write and delete below that address"),
    ("PermanentRedirect", "the bucket is in another region", "Correct AWS_REGION"),
    ("AuthorizationHeaderMalformed", "the bucket is in another region", "Correct AWS_REGION"),
    # Without a key, the client asks the service that gives keys to machines of Amazon.
    ("http://169.254.", "no key is set", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ("error sending request", "it does not answer",
     "See whether it runs, and whether AWS_ENDPOINT_URL names it"),
    ("403 Forbidden", "the store refuses this key",
     "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the key its rights"),
)  # fmt: skip
"""A part of the answer, what it means, and what to do. The first that fits counts."""


def explained(answer: str) -> tuple[str, str]:
    """Return what is wrong and what to do, each in one line.

    Args:
        answer: The text of the client's error, which has the store's answer in it.
    """
    for part, meaning, todo in _KNOWN:
        if part in answer:
            return meaning, f"{todo}. {_WAITING}"
    lines = answer.strip().splitlines()
    return lines[0][:300] if lines else "unknown error", _WAITING
