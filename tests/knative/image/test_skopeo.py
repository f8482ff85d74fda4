"""The commands by a small `skopeo` on the PATH; their effect by the real one and a registry with TLS and users."""

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.knative.image.layouts import write_server

from snooze.knative.errors import MissingProgram
from snooze.knative.image.errors import InvalidImage, ProgramFailed
from snooze.knative.image.layout import Layout
from snooze.knative.image.server_image import Descriptor, Image, compute_digest, read
from snooze.knative.image.skopeo import Registry, write_folder

AMD64 = "linux/amd64"
DIGEST = compute_digest(b"manifest")
BLOB = Descriptor(compute_digest(b"{}"), 2)
DEADLINE = 30.0

needs_registry = pytest.mark.skipif(
    not all(shutil.which(program) for program in ("skopeo", "docker-registry", "openssl")),
    reason="needs skopeo, docker-registry and openssl: apt-get install skopeo docker-registry openssl",
)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a `skopeo` on the PATH that writes its arguments to the file that is returned."""
    file = tmp_path / "calls"
    program = tmp_path / "bin/skopeo"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" >> {file}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return file


@pytest.mark.process
@pytest.mark.parametrize("insecure", [False, True])
@pytest.mark.parametrize("authfile", [None, Path("auth.json")])
def test_commands(calls: Path, tmp_path: Path, insecure: bool, authfile: Path | None) -> None:
    image = Registry("r.example.com/a", "1", None, authfile, insecure)
    other = image._replace(repository="r.example.com/b").pin(DIGEST)

    image.read_manifest()
    image.read_manifest(DIGEST)
    image.read_config(DIGEST, BLOB)
    image.pull(tmp_path)
    image.take(other)
    image.push(tmp_path)

    credentials = ["--authfile=auth.json"] if authfile else []
    inspect = ["inspect", *credentials, *(["--tls-verify=false"] if insecure else [])]
    copy = ["copy", "--preserve-digests", "--quiet", *credentials]
    source, target = (["--src-tls-verify=false"], ["--dest-tls-verify=false"]) if insecure else ([], [])
    assert [line.split(" ")[1:] for line in calls.read_text().splitlines()] == [
        [*inspect, "--raw", "docker://r.example.com/a:1"],
        [*inspect, "--raw", f"docker://r.example.com/a@{DIGEST}"],
        [*inspect, "--config", "--raw", f"docker://r.example.com/a@{DIGEST}"],
        [*copy, *source, "docker://r.example.com/a:1", f"dir:{tmp_path}"],
        [*copy, *source, *target, f"docker://r.example.com/b@{DIGEST}", "docker://r.example.com/a:1"],
        [*copy, *target, f"dir:{tmp_path}", "docker://r.example.com/a:1"],
    ]


@pytest.mark.process
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('time="2026" level=fatal msg="reading \\"a\\": manifest unknown"', 'reading "a": manifest unknown'),
        ('level=warning msg="x"\nlevel=fatal msg="a: unauthorized: b"', "a: unauthorized: b; log in with"),
        ('level=fatal msg="http: server gave HTTP response to HTTPS client"', "without TLS give --insecure"),
        ("no message as it should be", "no message as it should be"),
        ("", "exit code 3"),
    ],
)
def test_errors_say_what_to_do(calls: Path, line: str, message: str) -> None:
    program = calls.parent / "bin/skopeo"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{line}\nEND\nexit 3\n")
    (program.parent / "cat").symlink_to("/bin/cat")

    with pytest.raises(ProgramFailed) as caught:
        Registry("r.example.com/a", "1").read_manifest()

    assert caught.value.program == "skopeo"
    assert message in caught.value.message


@pytest.mark.process
def test_reports_that_skopeo_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingProgram) as caught:
        Registry("r.example.com/a", "1").read_manifest()

    assert caught.value.program == "skopeo"


@pytest.mark.process
def test_checks_what_a_registry_sends(calls: Path) -> None:
    (calls.parent / "bin/skopeo").write_text(
        f"""#!/bin/sh
        case "$*" in
            *--config*) echo '{{}}' ;;
            *) echo '{{"config": {{"digest": "{BLOB.digest}", "size": 2}}, "layers": []}}' ;;
        esac"""
    )

    with pytest.raises(InvalidImage, match="does not have its digest"):
        read(Registry("r.example.com/a", "1"), AMD64)


def test_a_folder_has_the_image_as_it_is(tmp_path: Path) -> None:
    manifest = json.dumps({"config": {"digest": BLOB.digest}}).encode()
    blob = tmp_path / "12e4"
    blob.write_bytes(b"a layer")
    (tmp_path / "image").mkdir()

    write_folder(tmp_path / "image", Image(manifest, b"{}", "", ()), [blob])

    assert {path.name: path.read_bytes() for path in (tmp_path / "image").iterdir()} == {
        "version": b"Directory Transport Version: 1.1\n",
        "manifest.json": manifest,
        BLOB.digest.removeprefix("sha256:"): b"{}",
        "12e4": b"a layer",
    }


class Host:
    """A registry on this machine, with a certificate and one user; `authfile` holds their password."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.name = f"localhost:{free.getsockname()[1]}"
        self.authfile = self.write_authfile("right.json", "not-a-secret")

    def write_authfile(self, name: str, password: str) -> Path:
        """Write credentials as `skopeo login` does."""
        path = self.folder / name
        login = base64.b64encode(f"someone:{password}".encode()).decode()
        path.write_text(json.dumps({"auths": {self.name: {"auth": login}}}))
        return path


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("registry"))
    key = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(["openssl", *key, *name, *files], cwd=host.folder, check=True, capture_output=True)
    (host.folder / "htpasswd").write_text("someone:$2b$04$EYO5ybWX31DrU0XvuwXh..T5w2Zo5uKkMLw/ftOvffxK5NSC.6nJK\n")
    address = host.name.replace("localhost", "127.0.0.1")
    (host.folder / "config.yml").write_text(
        f"""
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {host.folder}/data}}}}
http: {{addr: "{address}", tls: {{certificate: cert.pem, key: key.pem}}}}
auth: {{htpasswd: {{realm: test, path: htpasswd}}}}
"""
    )
    command = ["docker-registry", "serve", "config.yml"]
    log = host.folder / "log"
    with log.open("wb") as output, subprocess.Popen(command, cwd=host.folder, stdout=output, stderr=output) as process:
        end = time.monotonic() + DEADLINE
        port = int(host.name.partition(":")[2])
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end
                time.sleep(0.05)
        yield host
        process.kill()


@pytest.fixture
def _trusted(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(host.folder / "cert.pem"))


def push(registry: Registry, folder: Path) -> Image:
    server = Layout(write_server(folder / "server"), "1")
    image = read(server, AMD64)
    (folder / "image").mkdir()
    write_folder(folder / "image", image, [server.locate(one.digest) for one in image.layers])
    registry.push(folder / "image")
    return image


@pytest.mark.process
@needs_registry
@pytest.mark.usefixtures("_trusted")
def test_an_image_comes_back_from_a_registry_as_it_was(host: Host, tmp_path: Path) -> None:
    registry = Registry(f"{host.name}/there", "1", authfile=host.authfile)

    image = push(registry, tmp_path)

    assert read(registry, AMD64) == image
    assert read(registry.pin(image.digest), AMD64) == image
    registry.pull(tmp_path / "pulled")
    digest = image.layers[0].digest
    pulled = tmp_path / "pulled" / digest.removeprefix("sha256:")
    assert compute_digest(pulled.read_bytes()) == digest


@pytest.mark.process
@needs_registry
@pytest.mark.usefixtures("_trusted")
def test_layers_that_a_repository_has_need_not_be_sent(host: Host, tmp_path: Path) -> None:
    origin = Registry(f"{host.name}/origin", "1", authfile=host.authfile)
    image = push(origin, tmp_path)
    target = Registry(f"{host.name}/target", "1", authfile=host.authfile)

    target.pin(image.digest).take(origin.pin(image.digest))
    (tmp_path / "sparse").mkdir()
    write_folder(tmp_path / "sparse", image, [])
    target.push(tmp_path / "sparse")

    assert read(target, AMD64) == image


@pytest.mark.process
@needs_registry
def test_the_certificate_is_checked_unless_asked_otherwise(host: Host, tmp_path: Path) -> None:
    registry = Registry(f"{host.name}/tls", "1", authfile=host.authfile)

    with pytest.raises(ProgramFailed, match="unknown authority"):
        push(registry, tmp_path)
    (tmp_path / "insecure").mkdir()
    push(registry._replace(insecure=True), tmp_path / "insecure")


@pytest.mark.process
@needs_registry
@pytest.mark.usefixtures("_trusted")
def test_a_wrong_password_is_refused_and_not_shown(host: Host, tmp_path: Path) -> None:
    authfile = host.write_authfile("wrong.json", "wrong-password")

    with pytest.raises(ProgramFailed, match="give --authfile") as caught:
        push(Registry(f"{host.name}/users", "1", authfile=authfile), tmp_path)

    assert "wrong-password" not in str(caught.value)


@pytest.mark.process
@needs_registry
@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize("way", ["REGISTRY_AUTH_FILE", "Docker's file"])
def test_finds_the_usual_credentials(way: str, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "REGISTRY_AUTH_FILE":
        monkeypatch.setenv(way, str(host.authfile))
    else:
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".docker").mkdir()
        shutil.copy(host.authfile, tmp_path / ".docker/config.json")

    push(Registry(f"{host.name}/usual-{way.count('_')}", "1"), tmp_path)
