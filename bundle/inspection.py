"""What `snooze inspect` finds out about one bundle: its contract, or what is wrong with it."""

import json
from typing import Any, NamedTuple

from snooze.bundle.codec import SAMPLES, encode
from snooze.bundle.contract import Bundle
from snooze.bundle.errors import BundleError
from snooze.bundle.evidence import read_evidence, read_profile
from snooze.bundle.store import Found, verify
from snooze.bundle.units import format_count


class Inspection(NamedTuple):
    """One bundle: `proof` says what was verified, `error` what is wrong (then there may be no contract)."""

    found: Found
    bundle: Bundle | None
    proof: str | None = None
    error: BundleError | None = None

    def document(self) -> dict[str, Any]:
        """Return this as JSON: the contract, its folder, and whether it was verified (null: not checked)."""
        contract: dict[str, Any] = {} if self.bundle is None else json.loads(encode(self.bundle))
        about: dict[str, Any] = {"name": self.found.name, "version": self.found.version}
        verified = False if self.error else True if self.proof else None
        problem = {"error": str(self.error)} if self.error else {}
        return {**about, **contract, "folder": str(self.found.folder), "verified": verified, **problem}


def inspect(found: Found, check: bool) -> Inspection:
    """Read a bundle with its evidence and profile; if `check`, verify its hashes and samples as well."""
    bundle = None
    try:
        bundle = found.bundle
        read_evidence(bundle), read_profile(bundle)
        return Inspection(found, bundle, _verify(found, bundle) if check else None)
    except BundleError as error:
        return Inspection(found, bundle, error=error)


def _verify(found: Found, bundle: Bundle) -> str:
    from snooze.bundle.samples import read_samples  # imports numpy

    verify(found.folder, bundle)
    cases = format_count(len(read_samples(found.folder, bundle)), "case")
    return f"the hashes of {', '.join(bundle.files)} are right; {SAMPLES} has {cases} matching the signature"
