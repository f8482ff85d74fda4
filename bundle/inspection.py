"""What `snooze inspect` finds out about one bundle: its contract, or what is wrong with it."""

import json
from dataclasses import dataclass
from typing import Any

from snooze.bundle.codec import SAMPLES, encode
from snooze.bundle.contract import Bundle
from snooze.bundle.errors import BundleError
from snooze.bundle.store import Found, read, verify


@dataclass(frozen=True, slots=True)
class Inspection:
    """One bundle looked at: `proof` says what was verified, `error` what is wrong (then there may be no contract)."""

    found: Found
    bundle: Bundle | None
    proof: str | None = None
    error: BundleError | None = None

    def document(self) -> dict[str, Any]:
        """Return this as JSON: the contract, where it lies, and whether it was verified (null: nobody asked)."""
        contract: dict[str, Any] = {} if self.bundle is None else json.loads(encode(self.bundle))
        about: dict[str, Any] = {"name": self.found.name, "version": self.found.version}
        verified = False if self.error else True if self.proof else None
        problem = {"error": str(self.error)} if self.error else {}
        return {**about, **contract, "folder": str(self.found.folder), "verified": verified, **problem}


def inspect(found: Found, check: bool) -> Inspection:
    """Read a bundle; where `check`, also its hashes and samples."""
    bundle = None
    try:
        bundle = read(found.folder)
        return Inspection(found, bundle, _proof(found, bundle) if check else None)
    except BundleError as error:
        return Inspection(found, bundle, error=error)


def _proof(found: Found, bundle: Bundle) -> str:
    from snooze.bundle.samples import read_samples  # brings numpy

    verify(found.folder, bundle)
    samples = read_samples(found.folder, bundle)
    first = next(iter(samples.inputs.values()))
    count = f"{first.shape[bundle.batching.axis]} rows of " if bundle.batching else ""
    files = ", ".join(bundle.files)
    return f"the hashes of {files} are right; {count}{SAMPLES} fit the signature"
