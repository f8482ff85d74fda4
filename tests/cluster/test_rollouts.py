"""Rollouts of a good version: to the end and back, killed, interrupted, held for an A/B test, and with few rights."""

import json
import signal
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from tests.cluster.callers import Question, ask
from tests.cluster.conftest import Figures
from tests.cluster.rollouts import label_of, let_pass, percents, rollout, users
from tests.cluster.services import Service, wait_until

from snooze.knative.rollout.live import ROLLOUT

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("rollouts")]
PATIENT = ("--max-p99", "5s")  # a machine that does other work does not make a good version a bad one


@pytest.fixture
def questions(question: Question) -> list[Question]:
    return [label_of(question)]


def test_a_good_version_takes_over_and_is_taken_back(
    service: Service, questions: list[Question], figures: Figures
) -> None:
    service.deploy("tumour/1")
    with users(service, questions) as tally:
        with rollout(service, "tumour/2", *PATIENT) as running:
            ended = running.end()
        assert ended.code == 0, ended
        old, new = service.revisions()
        assert percents(service) == {new: 100}
        back = service.snooze("rollback", service.name, "--namespace", service.cluster.namespace, "--json")
        let_pass(3)
    figures.add(tally)
    figures.returned = json.loads(back.stdout)["seconds_back"]

    assert not tally.failed, tally.describe()
    assert percents(service) == {old: 100}
    assert tally[-1].revision == old
    assert ROLLOUT not in service.document()["metadata"]["annotations"]
    assert versions(service) == {"1": 100, "2": 0}


def test_a_rollout_that_is_killed_goes_on_with_the_same_command(
    service: Service, questions: list[Question], figures: Figures
) -> None:
    service.deploy("tumour/1")
    with users(service, questions) as tally:
        with rollout(service, "tumour/2", *PATIENT) as running:
            running.wait_for_traffic(service, 5)
            running.process.send_signal(signal.SIGKILL)
        assert sorted(percents(service).values()) == [5, 95]

        def goes_on() -> bool:
            """Try until the lock of the killed rollout has ended."""
            with rollout(service, "tumour/2", *PATIENT) as again:
                return again.end().code == 0

        wait_until(goes_on, "the rollout to go on")
    figures.add(tally)

    assert not tally.failed, tally.describe()
    assert percents(service) == {service.revisions()[1]: 100}


def test_after_ctrl_c_the_split_stays_and_is_printed(
    service: Service, questions: list[Question], figures: Figures
) -> None:
    service.deploy("tumour/1")
    with users(service, questions) as tally:
        with rollout(service, "tumour/2", *PATIENT) as running:
            running.wait_for_traffic(service, 5)
            ended = running.stop(signal.SIGINT)
        old, new = service.revisions()
        assert ended.code == 130, ended
        assert percents(service) == {old: 95, new: 5}
        assert f"{old} 95 %" in ended.errors
        assert f"{new} 5 %" in ended.errors
        refused = service.try_to_deploy("tumour/1", "--env", "SNOOZE_LOG=json")
        assert refused.returncode != 0, "snooze deploy refuses during a rollout"
        back = service.snooze("rollback", service.name, "--namespace", service.cluster.namespace)
        assert back.returncode == 0, back.stderr
    figures.add(tally)

    assert not tally.failed, tally.describe()
    assert percents(service) == {old: 100}


def test_two_versions_are_compared_at_half_of_the_requests(
    service: Service, questions: list[Question], figures: Figures, tmp_path: Path
) -> None:
    service.deploy("tumour/1")
    data = tmp_path / "labelled.npz"
    write_labelled(data)
    with users(service, questions) as tally:
        with rollout(service, "tumour/2", "--hold", "50", *PATIENT) as running:
            held = running.end()
        assert held.code == 0, held
        old, new = service.revisions()
        assert percents(service) == {old: 50, new: 50}
        for target in service.document()["status"]["traffic"]:
            tagged = ask(service.url(), questions[0], {"Knative-Serving-Tag": target["tag"]})
            assert tagged.revision == target["revisionName"]
        compared = service.snooze(
            *("ab", service.name, "--data", str(data), "--namespace", service.cluster.namespace),
            *("--requests", "100", "--json"),
        )
        assert compared.returncode == 0, compared.stderr
        with rollout(service, "tumour/2", *PATIENT) as running:
            assert running.end().code == 0
    figures.add(tally)

    assert not tally.failed, tally.describe()
    assert json.loads(compared.stdout)["verdict"]
    assert percents(service) == {new: 100}


def test_the_documented_rights_are_enough(
    service: Service, questions: list[Question], figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.deploy("tumour/1")
    with users(service, questions) as tally:
        monkeypatch.setenv("KUBECONFIG", str(become_an_account(service)))
        with rollout(service, "tumour/2", *PATIENT) as running:
            ended = running.end()
    figures.add(tally)

    assert ended.code == 0, ended
    assert not tally.failed, tally.describe()


def become_an_account(service: Service) -> Path:
    """Return a configuration of kubectl for a service account that has only the rights of `role.yaml`."""
    service.cluster.apply((files("snooze.knative") / "rollout/role.yaml").read_text("utf-8"))
    token = service.cluster.run("create", "token", "snooze-rollout").decode()
    config = yaml.safe_load(service.cluster.run("config", "view", "--raw", "--flatten"))
    config["users"] = [{"name": one["name"], "user": {"token": token}} for one in config["users"]]
    path = service.folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def versions(service: Service) -> dict[str, int]:
    """Return the percentages by version of the model, as `snooze versions` tells them."""
    done = service.snooze("versions", service.name, "--namespace", service.cluster.namespace, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {one["version"]: one["percent"] for one in (found["versions"] if isinstance(found, dict) else found)}


def write_labelled(path: Path) -> None:
    """Write rows with labels as `snooze ab` reads them."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer

    rows, classes = load_breast_cancer(return_X_y=True)
    np.savez(path, features=rows.astype(np.float32), y=classes)
