import pytest

from snooze.bundle.errors import SnoozeError
from snooze.knative import errors

OWN = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.KnativeError)]


@pytest.mark.parametrize("error", OWN[1:])
def test_every_error_is_listed_and_has_an_exit_code(error: type[errors.KnativeError]) -> None:
    assert f"- {error.__name__} " in str(errors.__doc__)
    assert issubclass(error, SnoozeError)
    assert error.exit_code in (1, 2)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            errors.TooSlow(0.02, 0.05),
            "check failed: a p99 of 20 ms is not possible, because a single request takes 50 ms; "
            "ask for a longer --p99 or serve a faster model",
        ),
        (
            errors.MissingProgram("kubectl"),
            "'kubectl' is not on the PATH; install it, or write the manifest with --output and apply it elsewhere",
        ),
        (
            errors.NotReady("models", "tumour-v1-a1b2c3", "ErrImagePull: no such host"),
            "revision 'tumour-v1-a1b2c3' does not get ready: ErrImagePull: no such host; "
            "for more: kubectl -n models describe revision tumour-v1-a1b2c3",
        ),
        (
            errors.WrongRevision("v2", "tumour-v2", "tumour-v1"),
            "tag 'v2' stands for revision 'tumour-v2', but revision 'tumour-v1' answered; run it again if the traffic "
            "was changed meanwhile, and use --header only where Knative's config-features has tag-header-based-routing "
            "enabled",
        ),
        (
            errors.NoDigest("a/b:1", "manifest unknown"),
            "no digest for a/b:1: manifest unknown; push it first, or give the digest with --image",
        ),
        (errors.MissingProgram("skopeo", "install it"), "'skopeo' is not on the PATH; install it"),
    ],
)
def test_messages(error: errors.KnativeError, message: str) -> None:
    assert str(error) == message
